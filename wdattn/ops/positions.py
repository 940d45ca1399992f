"""Where tokens stand, and the sines and cosines of it."""

from typing import Any

import numpy as np
from keras import ops


def places(tokens: Any, positions: Any = None) -> Any:
    """The places of tokens, `(tokens,)` or `(batch, tokens)` int.

    Args:
        tokens: int, or a scalar tensor: how many there are.
        positions: None (from 0), the place of the first one, or those of all, `(tokens,)` or
            `(batch, tokens)`.

    Returns:
        NumPy array where all is known before the graph runs, else a tensor.

    Raises:
        ValueError: if `positions` has more axes.
    """
    known = positions is None or isinstance(positions, int | np.integer | np.ndarray | list)
    first = np.asarray(0 if positions is None else positions) if known else positions
    if len(first.shape) > 2:
        raise ValueError(
            "`positions` must be a place, (tokens,) or (batch, tokens), got shape "
            f"{tuple(first.shape)}"
        )
    if len(first.shape):
        return first
    if known and isinstance(tokens, int):
        return first + np.arange(tokens)
    return ops.cast(first, "int32") + ops.arange(tokens, dtype="int32")


def cos_sin(places: Any, frequencies: np.ndarray, dtype: str) -> tuple[Any, Any]:
    """Cosine and sine of each place times each frequency, along a new last axis.

    Places that are known are computed in float64: in float32 the angle of place 4,000 is rounded
    to 2e-4, and on JAX Keras has no other sine.
    """
    if isinstance(places, np.ndarray):
        angles = places[..., None] * frequencies
        cos, sin = np.cos(angles), np.sin(angles)
    else:
        angles = ops.cast(places, dtype)[..., None] * ops.convert_to_tensor(frequencies, dtype)
        cos, sin = ops.cos(angles), ops.sin(angles)
    return ops.convert_to_tensor(cos, dtype), ops.convert_to_tensor(sin, dtype)
