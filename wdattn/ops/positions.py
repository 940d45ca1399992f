"""Where tokens stand."""

from typing import Any

from keras import ops


def places(tokens: Any, positions: Any, dtype: str) -> Any:
    """The places of tokens as floats, `(tokens,)` or `(batch, tokens)`.

    Args:
        tokens: int, or a scalar tensor: how many there are.
        positions: None (from 0), the place of the first one, or those of all, `(tokens,)` or
            `(batch, tokens)`.
        dtype: of what is returned.

    Returns:
        Tensor of `dtype`.

    Raises:
        ValueError: if `positions` has more axes.
    """
    first = ops.convert_to_tensor(0 if positions is None else positions, "int32")
    if len(first.shape) > 2:
        raise ValueError(
            "`positions` must be a place, (tokens,) or (batch, tokens), got shape "
            f"{tuple(first.shape)}"
        )
    if len(first.shape) == 0:
        first = first + ops.arange(tokens, dtype="int32")
    return ops.cast(first, dtype)
