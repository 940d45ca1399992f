"""A model made in a precision computes in it, whatever Keras and the backend were set to before."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.src.backend.common import dtypes

from wdattn import backend


@pytest.fixture
def problem(rng):
    return rng.normal(size=(3, 4)), rng.normal(size=(5, 3))


@pytest.fixture(autouse=True)
def keras_as_it_comes(monkeypatch):
    monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float32")


def gradient(weights, x):
    """Of the mean square of a layer's outputs, by a model that is made for it."""
    model = keras.Sequential([keras.layers.Dense(4, use_bias=False)])
    model.build((None, 3))

    def loss(parameters, x):
        outputs, _ = model.stateless_call(parameters, [], x)
        return ops.mean(ops.square(outputs))

    dtype = model.layers[0].kernel.dtype
    derivative = backend.jit(backend.value_and_grad(loss))
    _, (found,) = derivative([ops.convert_to_tensor(weights, dtype)], ops.convert_to_tensor(x))
    return ops.convert_to_numpy(found)


@pytest.mark.parametrize(
    ("name", "stored", "low", "high"),
    # Relative errors: of 53 bits, 24 bits, and of weights and inputs rounded to 8 bits.
    [("float64", "float64", 0, 1e-14), ("float32", "float32", 1e-9, 1e-6),
     ("mixed_bfloat16", "float32", 1e-4, 3e-2)],
)  # fmt: skip
@pytest.mark.parametrize("before", ["float32", "mixed_float16"])
def test_derivatives_have_the_precision(problem, name, stored, low, high, before):
    weights, x = problem
    keras.config.set_dtype_policy(before)
    try:
        with backend.precision(name):
            found = gradient(weights, x)
        assert keras.config.dtype_policy().name == before and keras.config.floatx() == "float32"
    finally:
        keras.config.set_dtype_policy("float32")
    expected = 2 * x.T @ (x @ weights) / 20
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert low <= error <= high
    assert found.dtype == stored
    assert dtypes.BIT64_TO_BIT32_DTYPE["float64"] == "float32"


def test_an_error_inside_leaves_keras_as_it_was():
    with pytest.raises(KeyError), backend.precision("float64"):
        raise KeyError
    assert keras.config.floatx() == "float32"
    assert dtypes.BIT64_TO_BIT32_DTYPE["float64"] == "float32"


def test_an_unknown_precision():
    with pytest.raises(ValueError, match="`name` must be one of float32, float64, mixed_bfloat16"):
        with backend.precision("float16"):
            pass
