"""The check of an argument that is a tensor of floats."""

from typing import Any

import keras
from keras import ops


def float_tensor(name: str, x: Any, axes: str | None = None) -> Any:
    """The argument as a tensor, if its entries are floats and it has these axes.

    Args:
        name: of the argument.
        x: tensor, or what Keras makes one of.
        axes: as an error message names them, such as "(batch, tokens, heads, dim)"; None is any.

    Raises:
        ValueError: if it is no such tensor.
    """
    allowed = f"`{name}` must be {axes or 'of any shape,'} float"
    try:
        tensor = x if ops.is_tensor(x) else ops.convert_to_tensor(x)
        dtype = keras.backend.standardize_dtype(tensor.dtype)
    except Exception as error:  # each backend has its own for what is no array
        told = f"a {type(x).__name__}" if hasattr(x, "__len__") else repr(x)
        raise ValueError(f"{allowed}, got {told}") from error
    fits = axes is None or len(tensor.shape) == axes.count(",") + 1
    if not fits or not keras.backend.is_float_dtype(dtype):
        raise ValueError(f"{allowed}, got shape {tuple(tensor.shape)} of {dtype}")
    return tensor
