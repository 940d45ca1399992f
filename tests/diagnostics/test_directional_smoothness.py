import numpy as np
import pytest

from wdattn.diagnostics import directional_smoothness


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])  # squares would vanish or overflow
def test_equals_the_closed_form(linear, rng, scale, squared):
    x, y, v = rng.normal(size=(7, 3)), rng.normal(size=(7, 1)), rng.normal(size=(3, 1))
    found = directional_smoothness(linear, x, y, [scale * v], squared)
    expected = (v.T @ (2 * x.T @ x / 7) @ v / (v.T @ v)).item()
    assert found.value == pytest.approx(expected, rel=1e-10)
    assert found.length == pytest.approx(scale * np.linalg.norm(v), rel=1e-12)


@pytest.mark.parametrize("name", ["stock", "transformer"])
def test_equals_central_differences(name, request, rng, dense_hessian, squared):
    model, x, y = request.getfixturevalue(name)
    direction = [rng.normal(size=variable.shape) for variable in model.trainable_variables]
    unit = np.concatenate([array.ravel() for array in direction])
    unit /= np.linalg.norm(unit)
    found = directional_smoothness(model, x, y, direction, squared).value
    hessian = dense_hessian(model, x, y)
    scale = np.linalg.norm(hessian, 2)
    close = {"stock": 1e-4, "transformer": 1e-7}[name]
    assert found == pytest.approx(unit @ hessian @ unit, abs=close * scale)


def test_may_be_negative(linear):
    x, y = np.eye(3), np.zeros((3, 1))
    concave = directional_smoothness(linear, x, y, [np.ones((3, 1))], lambda y, p: -((p - y) ** 2))
    assert concave.value == pytest.approx(-2 / 3, rel=1e-12)


def test_not_finite_is_nan(linear, squared):
    x, y, v = np.eye(3), np.zeros((3, 1)), np.ones((3, 1))
    for bad in (np.nan, np.inf):
        assert np.isnan(directional_smoothness(linear, x, y, [bad * v], squared).value)


@pytest.mark.parametrize(
    ("direction", "word"),
    [
        ([np.zeros((3, 1))], "must not be 0"),
        ([np.ones(3)], r"\[\(3, 1\)\], got \[\(3,\)\]"),
        ([], r"got \[\]"),
        ([np.ones((3, 1))] * 2, "`direction`"),
    ],
)
def test_bad_direction_is_named(linear, direction, word, squared):
    with pytest.raises(ValueError, match=word):
        directional_smoothness(linear, np.eye(3), np.zeros((3, 1)), direction, squared)
