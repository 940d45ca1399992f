import numpy as np
import pytest

from wdattn.diagnostics import directional_smoothness, generalized_smoothness


def test_equals_the_closed_form(linear, rng, squared):
    x, y, (w,) = rng.normal(size=(7, 3)), rng.normal(size=(7, 1)), linear.get_weights()
    found = generalized_smoothness(linear, x, y, squared)
    gradient = np.linalg.norm(2 * x.T @ (x @ w - y) / 7)
    assert found.gradient_norm == pytest.approx(gradient, rel=1e-10)
    assert found.hessian_norm == pytest.approx(np.linalg.norm(2 * x.T @ x / 7, 2), rel=1e-4)
    assert found.directional_smoothness is None


@pytest.mark.parametrize("name", ["stock", "transformer"])
def test_equals_central_differences(name, request, rng, dense_hessian, squared):
    model, x, y = request.getfixturevalue(name)
    direction = [rng.normal(size=variable.shape) for variable in model.trainable_variables]
    found = generalized_smoothness(model, x, y, squared, direction)
    hessian = dense_hessian(model, x, y)
    expected = np.abs(np.linalg.eigvalsh((hessian + hessian.T) / 2)).max()
    assert found.hessian_norm == pytest.approx(expected, rel=1e-4)
    along = directional_smoothness(model, x, y, direction, squared).value
    assert found.directional_smoothness == pytest.approx(along, rel=1e-12)


def test_a_negative_curvature_counts_by_its_size(linear, rng):
    x, y = np.diag([1.0, 2.0, 3.0]), rng.normal(size=(3, 1))
    found = generalized_smoothness(linear, x, y, lambda y, p: -((p - y) ** 2))
    assert found.hessian_norm == pytest.approx(6, rel=1e-4)
