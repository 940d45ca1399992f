"""The precision to compute in."""

from typing import Any

from keras import backend


def at_least_float32(x: Any) -> str:
    """The name of float64 for a float64 tensor, else of float32."""
    # Not `keras.backend.result_type`, which makes float64 a float32.
    dtype = str(backend.standardize_dtype(x.dtype))
    return dtype if dtype == "float64" else "float32"
