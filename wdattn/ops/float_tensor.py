"""The check of an argument that is a tensor of floats."""

from typing import Any

import keras
from keras import ops


def float_tensor(name: str, x: Any, axes: str) -> Any:
    """The argument as a tensor, if its entries are floats and it has these axes.

    Args:
        name: of the argument.
        x: tensor, or what Keras makes one of.
        axes: as an error message names them, such as "(batch, tokens, heads, dim)".

    Raises:
        ValueError: if it is no such tensor.
    """
    try:
        tensor = x if ops.is_tensor(x) else ops.convert_to_tensor(x)
        dtype = keras.backend.standardize_dtype(tensor.dtype)
    except Exception as error:  # each backend has its own for what is no array
        told = f"a {type(x).__name__}" if hasattr(x, "__len__") else repr(x)
        raise ValueError(f"`{name}` must be {axes} float, got {told}") from error
    if len(tensor.shape) != axes.count(",") + 1 or not keras.backend.is_float_dtype(dtype):
        raise ValueError(
            f"`{name}` must be {axes} float, got shape {tuple(tensor.shape)} of {dtype}"
        )
    return tensor
