import keras
import numpy as np
import pytest

from wdattn.diagnostics import hessian_eigenvalues


def quadratic(y_true, y_pred):
    """At x = I the outputs are the weights: the Hessian is diag(y)."""
    return keras.ops.sum(y_true * y_pred**2) / 2


def test_largest_smallest_and_largest_in_magnitude_are_separate(linear):
    found = hessian_eigenvalues(linear, np.eye(3), np.array([[1.0], [-3.0], [0.5]]), quadratic)
    assert found.largest == pytest.approx([1], rel=1e-12)
    assert found.smallest == pytest.approx([-3], rel=1e-12)
    assert found.largest_in_magnitude == pytest.approx([-3], rel=1e-12)
    assert found.largest.dtype == "float64" and found.products == 3


def test_where_the_ends_share_values_each_counts_once(linear):
    y = np.array([[1.0], [-3.0], [0.5]])
    found = hessian_eigenvalues(linear, np.eye(3), y, quadratic, count=3)
    np.testing.assert_allclose(found.largest, [1, 0.5, -3], rtol=1e-12)
    np.testing.assert_allclose(found.smallest, [-3, 0.5, 1], rtol=1e-12)
    np.testing.assert_allclose(found.largest_in_magnitude, [-3, 1, 0.5], rtol=1e-12)


@pytest.mark.parametrize("name", ["stock", "transformer"])
def test_equals_the_dense_hessian(name, request, dense_hessian, squared):
    model, x, y = request.getfixturevalue(name)
    values = np.linalg.eigvalsh(dense_hessian(model, x, y))
    found = hessian_eigenvalues(model, x, y, squared, count=2, tolerance=1e-5)
    close = {"stock": 1e-4, "transformer": 1e-6}[name] * np.abs(values).max()
    np.testing.assert_allclose(found.largest, values[::-1][:2], atol=close)
    np.testing.assert_allclose(found.smallest, values[:2], atol=close)
    by_size = values[np.argsort(-np.abs(values))][:2]
    np.testing.assert_allclose(found.largest_in_magnitude, by_size, atol=close)
    assert found.residual <= 1e-5 * np.abs(values).max() * 1.001


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_several_outputs_have_each_value_several_times(rng, squared, dtype):
    # The Hessian of x @ w with three outputs is 2 x^T x / 3 n, three times over.
    dense = keras.layers.Dense(3, use_bias=False, dtype=dtype)
    model = keras.Sequential([keras.Input((5,), dtype=dtype), dense])
    x, y = rng.normal(size=(20, 5)), rng.normal(size=(20, 3))
    values = np.linalg.eigvalsh(2 * x.T @ x / 60)
    found = hessian_eigenvalues(model, x, y, squared, count=3, tolerance=1e-5)
    # Keras' Dense multiplies in float32 on some backends.
    np.testing.assert_allclose(found.largest, values[[-1] * 3], rtol=1e-5)
    np.testing.assert_allclose(found.smallest, values[[0] * 3], rtol=1e-4)


def test_not_finite_is_nan(linear, squared):
    found = hessian_eigenvalues(linear, np.full((2, 3), np.inf), np.zeros((2, 1)), squared)
    assert np.isnan([*found.largest, *found.smallest, *found.largest_in_magnitude]).all()


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("count", 0, "`count` must be an int in \\[1, 3\\], got 0"),
        ("count", 4, "`count` must be an int in \\[1, 3\\], got 4"),
        ("count", 1.0, "`count` must be an int in \\[1, 3\\], got 1.0"),
        ("limit", 0, "`limit` must be an int >= 1, got 0"),
        ("tolerance", -1, "`tolerance` must be a finite float >= 0, got -1"),
        ("tolerance", float("nan"), "`tolerance` must be a finite float >= 0, got nan"),
    ],
)
def test_bad_input_is_named(linear, name, value, word):
    with pytest.raises(ValueError, match=word):
        hessian_eigenvalues(linear, np.eye(3), np.zeros((3, 1)), "mse", **{name: value})
