"""Keras in float64."""

import pytest
from keras.src.backend.common import dtypes


@pytest.fixture(autouse=True)
def keras_in_float64(monkeypatch):
    """On JAX and PyTorch Keras casts float64 to float32 in many operations; here it must not."""
    monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
