"""In which precision models are made, trained and measured."""

import contextlib
from collections.abc import Iterator

import keras
from keras.src.backend.common import dtypes

from wdattn.arguments import choice

__all__ = ["PRECISIONS", "keras_precision"]

PRECISIONS = ("float32", "float64", "mixed_bfloat16")
"""Each is the name of a dtype policy of Keras."""


@contextlib.contextmanager
def keras_precision(name: str) -> Iterator[None]:
    """Keras' part of `wdattn.backend.precision`."""
    policy = choice("name", name, PRECISIONS)
    before = keras.config.floatx(), keras.config.dtype_policy()
    # On JAX and PyTorch Keras takes the result of two float64 tensors for float32 in many
    # operations, such as `matmul` and `mean`: a model in float64 would compute in float32.
    narrowed = dtypes.BIT64_TO_BIT32_DTYPE["float64"]
    if name == "float64":
        dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    keras.config.set_floatx("float64" if name == "float64" else "float32")
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        dtypes.BIT64_TO_BIT32_DTYPE["float64"] = narrowed
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])
