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
        causal: a query looks at no key after its own position.
        window: a query looks at keys less than this many positions away.

    Returns:
        Bool tensor that broadcasts against `(batch, T, S)`, as Keras' own, or against `(batch,
        heads, T, S)` where `attention_mask` has heads; None if nothing is masked.

    Raises:
        ValueError: if a mask has another rank.
    """
    masks = []
    for name, mask, axis in (
        ("query_mask", query_mask, 2),
        ("value_mask", value_mask, 1),
        ("key_mask", key_mask, 1),
    ):
        if mask is not None:
            masks.append(ops.expand_dims(_bool(name, mask, (2,), "(batch, tokens)"), axis))
    heads = False
    if attention_mask is not None:
        axes = "(T, S), (batch, T, S) or (batch, heads, T, S)"
        mask = _bool("attention_mask", attention_mask, (2, 3, 4), axes)
        heads = len(mask.shape) == 4
        masks.append(mask[None] if len(mask.shape) == 2 else mask)
    if causal or window is not None:
        row = ops.arange(ops.shape(query)[1], dtype="int32")[:, None]
        column = ops.arange(ops.shape(value)[1], dtype="int32")[None]
        if causal:
            masks.append((row >= column)[None])
        if window is not None:
            masks.append((ops.abs(row - column) < window)[None])
    joined = None
    for mask in masks:
        mask = for_heads(mask) if heads else mask
        joined = mask if joined is None else ops.logical_and(joined, mask)
    return joined


def for_heads(mask: Any) -> Any:
    """A mask of `(batch, T, S)` with an axis of heads; None, and one that has it, as they are."""
    return mask if mask is None or len(mask.shape) == 4 else ops.expand_dims(mask, 1)


def _bool(name: str, mask: Any, ranks: tuple[int, ...], axes: str) -> Any:
    mask = ops.cast(mask, "bool")
    if len(mask.shape) not in ranks:
        raise ValueError(f"`{name}` must be {axes}, got shape {tuple(mask.shape)}")
    return mask
