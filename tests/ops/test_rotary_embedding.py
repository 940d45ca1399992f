"""The rotation held to NumPy's complex numbers, and to what it is for."""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn.ops import rotary_embedding


def rotated(x, positions, max_wavelength=10_000.0):
    """Pairs of one half and the other as complex numbers, turned."""
    half = x.shape[-1] // 2
    theta = max_wavelength ** (-2 * np.arange(half) / x.shape[-1])
    turned = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * positions[..., None, None] * theta)
    return np.concatenate([turned.real, turned.imag], axis=-1)


@pytest.mark.parametrize("max_wavelength", [10_000.0, 50.0])
@pytest.mark.parametrize(
    ("positions", "counted"),
    [
        (None, np.arange(5)),
        (3, 3 + np.arange(5)),
        (np.array([4, 0, 9, 9, 1]), np.array([4, 0, 9, 9, 1])),
        (np.arange(10).reshape(2, 5), np.arange(10).reshape(2, 5)),
    ],
    ids=["from 0", "offset", "tokens", "batch"],
)
def test_equals_the_complex_form(rng, positions, counted, max_wavelength):
    x = rng.normal(size=(2, 5, 3, 6))
    found = ops.convert_to_numpy(rotary_embedding(x, positions, max_wavelength))
    np.testing.assert_allclose(found, rotated(x, counted, max_wavelength), rtol=1e-12, atol=1e-12)


def test_products_depend_on_the_distance_alone(rng):
    """Su et al. (2021), equation 11; and they do depend on it."""
    query, key = rng.normal(size=(2, 1, 1, 1, 8))

    def product(m, n):
        one, other = rotary_embedding(query, m), rotary_embedding(key, n)
        return float(ops.sum(one * other))

    assert product(7, 3) == pytest.approx(product(104, 100), rel=1e-12)
    assert product(7, 3) == pytest.approx(product(4, 0), rel=1e-12)
    assert abs(product(7, 3) - product(3, 7)) > 1e-3


def test_is_a_rotation(rng):
    x = rng.normal(size=(2, 5, 3, 6))
    found = ops.convert_to_numpy(rotary_embedding(x, 1000))
    np.testing.assert_allclose((found**2).sum(-1), (x**2).sum(-1), rtol=1e-12)
    np.testing.assert_array_equal(ops.convert_to_numpy(rotary_embedding(x[:, :1])), x[:, :1])


def test_decoding_token_by_token_is_the_whole(rng):
    x = rng.normal(size=(2, 5, 3, 6))
    parts = [ops.convert_to_numpy(rotary_embedding(x[:, i : i + 1], i)) for i in range(5)]
    whole = ops.convert_to_numpy(rotary_embedding(x))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_far_positions_are_exact_in_low_precision(rng, dtype):
    """In bfloat16 itself the positions 4,001 and 4,002 are one."""
    x = ops.cast(rng.normal(size=(1, 4, 1, 8)), dtype)
    found = rotary_embedding(x, 4001)
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    exact = rotated(ops.convert_to_numpy(ops.cast(x, "float64")), 4001 + np.arange(4))
    error = np.abs(ops.convert_to_numpy(ops.cast(found, "float64")) - exact).max()
    # A rounding of numbers up to 4; in float32 the angle itself is rounded at 4,000.
    assert error < {"bfloat16": 2**-6, "float16": 2**-9, "float32": 1e-3}[dtype]


def test_the_first_position_may_be_a_tensor(rng):
    x = rng.normal(size=(2, 5, 3, 6))
    found = ops.convert_to_numpy(rotary_embedding(x, ops.convert_to_tensor(7, "int32")))
    # Keras' sine of a tensor is a float32 on JAX.
    np.testing.assert_allclose(found, rotated(x, 7 + np.arange(5)), rtol=1e-5, atol=1e-5)


BAD_X = [np.ones((2, 5, 6)), np.ones((2, 5, 3, 5)), np.ones((2, 5, 3, 4), "int32"), "x", None, 1.0]


@pytest.mark.parametrize("x", BAD_X, ids=lambda x: str(getattr(x, "shape", x)))
def test_bad_x(x):
    with pytest.raises(ValueError, match="`x` must be"):
        rotary_embedding(x)


@pytest.mark.parametrize("value", [-1, 0, float("nan"), float("inf"), "1", None, True, 1j])
def test_bad_wavelength(value):
    with pytest.raises(ValueError, match="`max_wavelength` must be a finite float > 0"):
        rotary_embedding(np.ones((1, 2, 1, 2)), max_wavelength=value)
