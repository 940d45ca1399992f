import keras
import numpy as np
import pytest
from keras import ops

from wdattn.ops.float_tensor import float_tensor


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_tensor_is_given_back(dtype):
    x = ops.ones((2, 3), dtype)
    assert float_tensor("x", x, "(batch, dim)") is x


def test_numbers_become_a_tensor():
    x = float_tensor("x", [[1.0, 2.0]])
    assert ops.is_tensor(x) and keras.backend.is_float_dtype(x.dtype)


BAD = [None, "x", {}, object(), [[1.0], [1.0, 2.0]], 1, True, np.ones(2, "int8"), np.ones(2, bool)]


@pytest.mark.parametrize("value", BAD, ids=lambda value: f"{type(value).__name__}")
def test_what_is_none(value):
    with pytest.raises(ValueError, match="`mine` must be of any shape, float, got"):
        float_tensor("mine", value)


def test_another_rank():
    with pytest.raises(ValueError, match=r"`mine` must be \(a, b\) float, got shape \(2,\)"):
        float_tensor("mine", np.ones(2), "(a, b)")
