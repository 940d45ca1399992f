"""Moments held to NumPy, and their derivatives to central differences."""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn import autodiff
from wdattn.ops import moments


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axes", [0, -1, [1], (0, 2), [-1, 0, 1]], ids=str)
def test_equals_numpy(rng, axes, keepdims):
    x = rng.normal(2.0, 3.0, size=(3, 4, 5))
    mean, variance = moments(x, axes, keepdims)
    over = axes if isinstance(axes, int) else tuple(axes)
    np.testing.assert_allclose(ops.convert_to_numpy(mean), x.mean(over, keepdims=keepdims))
    np.testing.assert_allclose(ops.convert_to_numpy(variance), x.var(over, keepdims=keepdims))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_keeps_the_dtype_and_sums_half_precision_in_float32(rng, dtype):
    x = ops.convert_to_tensor(rng.normal(size=4096) + 8, dtype)
    mean, variance = moments(x, 0)
    exact = ops.convert_to_numpy(ops.cast(x, "float32")).astype("float64")
    assert {keras.backend.standardize_dtype(one.dtype) for one in (mean, variance)} == {dtype}
    tolerance = {"float16": 1e-3, "bfloat16": 8e-3}.get(dtype, 1e-5)  # one unit of the last place
    for one, other in ((mean, exact.mean()), (variance, exact.var())):
        np.testing.assert_allclose(
            ops.convert_to_numpy(ops.cast(one, "float32")), other, rtol=tolerance
        )


def test_a_small_variance_beside_a_large_mean_is_kept(rng):
    """The difference of squares, as on PyTorch in Keras, would return noise."""
    x = (rng.normal(size=1000) + 1e4).astype("float32")
    _, variance = moments(x, 0)
    np.testing.assert_allclose(ops.convert_to_numpy(variance), x.astype("float64").var(), rtol=1e-3)


def test_second_derivatives_are_right(rng):
    """Against a central difference of gradients, with mean and variance mixed."""
    start, v = rng.normal(size=(2, 3, 4))
    x = keras.Variable(start, dtype="float64")

    def loss():
        mean, variance = moments(x, -1, keepdims=True)
        return ops.sum((x - mean) ** 3 / (variance + 0.1) + mean * variance)

    gradient, product = autodiff.value_and_grad(loss, [x]), autodiff.hvp(loss, [x])
    (got,) = product([v])
    step, sides = 1e-5, []
    for sign in (1, -1):
        x.assign(start + sign * step * v)
        sides.append(ops.convert_to_numpy(gradient()[1][0]))
    wanted = (sides[0] - sides[1]) / (2 * step)
    np.testing.assert_allclose(ops.convert_to_numpy(got), wanted, atol=1e-8 * np.abs(wanted).max())


def test_second_derivatives_need_no_help_from_the_backend(rng):
    """The closed form of the variance's Hessian, 2 (v - mean(v)) / n."""
    x = keras.Variable(rng.normal(size=6), dtype="float64")
    v = rng.normal(size=6)
    (got,) = autodiff.hvp(lambda: moments(x, 0)[1], [x])([v])
    np.testing.assert_allclose(ops.convert_to_numpy(got), 2 * (v - v.mean()) / 6, rtol=1e-12)


BAD_AXES = [2, -3, (0, 2), [], (0, 0), (0, -2), 1.0, "0", None, True]


@pytest.mark.parametrize("axes", BAD_AXES, ids=repr)
def test_bad_axes(axes):
    with pytest.raises(ValueError, match=r"`axes` must be an int or different ints in \[-2, 1\]"):
        moments(np.ones((2, 3)), axes)


@pytest.mark.parametrize("x", [np.ones(3, "int32"), True, "x", None, [[1.0], [1.0, 2.0]]], ids=repr)
def test_what_is_no_tensor_of_floats(x):
    with pytest.raises(ValueError, match="`x` must be of any shape, float, got"):
        moments(x, 0)


@pytest.mark.parametrize("keepdims", [1, None, "yes"])
def test_keepdims_is_a_flag(keepdims):
    with pytest.raises(ValueError, match="`keepdims` must be True or False"):
        moments(np.ones(3), 0, keepdims)
