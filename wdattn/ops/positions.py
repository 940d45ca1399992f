"""The positions of tokens, and the sines and cosines of them."""

from typing import Any

import keras
import numpy as np
from keras import ops

from wdattn import arguments

ALLOWED = "`positions` must be None, an int, or ints of shape (tokens,) or (batch, tokens)"


def token_positions(inputs: Any, positions: Any = None) -> Any:
    """The positions of tokens, `(tokens,)` or `(batch, tokens)` int.

    Args:
        inputs: `(batch, tokens, ...)` tensor, for its shape alone.
        positions: None (from 0), that of the first token, or those of all, `(tokens,)` or
            `(batch, tokens)`.

    Returns:
        NumPy array where all is known before the graph runs, else a tensor.

    Raises:
        ValueError: if `positions` is nothing of this kind.
    """
    tokens = ops.shape(inputs)[1]
    if positions is None:
        positions = 0
    known = isinstance(positions, np.ndarray | list | tuple) or arguments.is_integer(positions)
    if known:
        try:
            positions = np.asarray(positions)
        except ValueError as error:  # lists of several lengths
            raise ValueError(f"{ALLOWED}, got {positions!r}") from error
        kind, whole = positions.dtype.name, positions.dtype.kind in "iu"
    elif hasattr(positions, "shape") and hasattr(positions, "dtype"):
        kind = keras.backend.standardize_dtype(positions.dtype)
        whole = keras.backend.is_int_dtype(kind)
    else:
        raise ValueError(f"{ALLOWED}, got {positions!r}")
    shape = tuple(positions.shape)
    fits = len(shape) <= 2 and all(
        None in (size, own) or size == own or (size == 1 and axis == -2)
        for axis, size, own in zip((-1, -2), shape[::-1], inputs.shape[1::-1], strict=False)
    )
    if not whole or not fits:
        raise ValueError(
            f"{ALLOWED}, here (batch, tokens) is {tuple(inputs.shape[:2])}, got shape {shape} of "
            f"{kind}"
        )
    if shape:
        return positions
    if known and isinstance(tokens, int):
        return positions + np.arange(tokens)
    return ops.cast(positions, "int32") + ops.arange(tokens, dtype="int32")


def cos_sin(positions: Any, frequencies: np.ndarray, dtype: str) -> tuple[Any, Any]:
    """Cosine and sine of each position times each frequency, along a new last axis.

    Positions that are known are computed in float64: in float32 the angle of position 4,000 is
    rounded to 2e-4, and on JAX Keras has no other sine.
    """
    if isinstance(positions, np.ndarray):
        angles = positions[..., None] * frequencies
        cos, sin = np.cos(angles), np.sin(angles)
    else:
        angles = ops.cast(positions, dtype)[..., None] * ops.convert_to_tensor(frequencies, dtype)
        cos, sin = ops.cos(angles), ops.sin(angles)
    return ops.convert_to_tensor(cos, dtype), ops.convert_to_tensor(sin, dtype)
