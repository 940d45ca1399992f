"""The masks of attention, joined to one."""

from typing import Any

from keras import ops


def attention_mask(
    query: Any,
    value: Any,
    query_mask: Any = None,
    value_mask: Any = None,
    key_mask: Any = None,
    attention_mask: Any = None,
    causal: bool = False,
    window: int | None = None,
) -> Any:
    """Which query may look at which key: all masks that are given must allow it.

    Args:
        query: `(batch, T, ...)`, for its length alone.
        value: `(batch, S, ...)`, likewise.
        query_mask: `(batch, T)`, False at padding.
        value_mask: `(batch, S)`, False at padding.
        key_mask: `(batch, S)`, likewise.
        attention_mask: `(T, S)`, `(batch, T, S)` or `(batch, heads, T, S)`; axes may be 1.
        causal: a query looks at no key behind its own place.
        window: a query looks at keys less than this many places away.

    Returns:
        Bool tensor that broadcasts against `(batch, heads, T, S)`, or None if nothing is masked.
    """
    masks = []
    if query_mask is not None:
        masks.append(ops.cast(query_mask, "bool")[:, None, :, None])
    for mask in (value_mask, key_mask):
        if mask is not None:
            masks.append(ops.cast(mask, "bool")[:, None, None, :])
    if attention_mask is not None:
        mask = ops.cast(attention_mask, "bool")
        for _ in range(4 - len(mask.shape)):
            mask = ops.expand_dims(mask, -3)
        masks.append(mask)
    if causal or window is not None:
        row = ops.arange(ops.shape(query)[1], dtype="int32")[:, None]
        column = ops.arange(ops.shape(value)[1], dtype="int32")[None]
        if causal:
            masks.append((row >= column)[None, None])
        if window is not None:
            masks.append((ops.abs(row - column) < window)[None, None])
    if not masks:
        return None
    joined = masks[0]
    for mask in masks[1:]:
        joined = ops.logical_and(joined, mask)
    return joined
