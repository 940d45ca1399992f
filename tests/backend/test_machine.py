"""What runs, and at which precision."""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn import backend


def test_describe_says_what_runs():
    described = backend.describe()
    assert list(described) == ["backend", "backend_version", "keras", "numpy", "python", "device"]
    assert all(isinstance(value, str) and value for value in described.values())
    assert described["backend"] == keras.config.backend()
    assert described["keras"] == keras.__version__


def reduced_precision():
    """A switch to lower precision and what reads it, by backend."""
    if keras.config.backend() == "jax":
        import jax

        def switch(name):
            jax.config.update("jax_default_matmul_precision", name)

        return switch, lambda: jax.config.jax_default_matmul_precision, ("tensorfloat32", "highest")
    if keras.config.backend() == "tensorflow":
        from tensorflow import config

        return (
            config.experimental.enable_tensor_float_32_execution,
            config.experimental.tensor_float_32_execution_enabled,
            (True, False),
        )
    import torch

    return (
        torch.set_float32_matmul_precision,
        torch.get_float32_matmul_precision,
        ("medium", "highest"),
    )


def test_full_precision_is_restored_even_after_an_error():
    switch, read, (low, high) = reduced_precision()
    before = read()
    switch(low)
    try:
        with pytest.raises(KeyError), backend.full_precision():
            assert read() == high
            raise KeyError
        assert read() == low
    finally:
        switch(before)


def test_full_precision_products_keep_float32(rng):
    left, right = rng.normal(size=(2, 64, 64)).astype("float32")
    with backend.full_precision():
        product = backend.jit(ops.matmul)(left, right)
    exact = left.astype("float64") @ right.astype("float64")
    np.testing.assert_allclose(ops.convert_to_numpy(product), exact, atol=1e-4)
