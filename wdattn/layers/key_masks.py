"""The masks of linear attention: of keys, and of pairs where the form can take one."""

from keras import ops


def key_masks(value_mask, key_mask, attention_mask, pairs):
    """The masks of an attention layer as one of pairs and one of keys, each bool or None.

    Args:
        value_mask: `(batch, keys)` or None.
        key_mask: `(batch, keys)` or None.
        attention_mask: broadcastable to `(batch, heads, queries, keys)`, the heads left out or
            not, or None.
        pairs: bool. Whether a mask may differ from query to query and from head to head.

    Returns:
        Mask of pairs, `(batch, heads, queries, keys)` each perhaps 1, and mask of keys, `(batch,
        keys)`.

    Raises:
        ValueError: if `attention_mask` has another rank, or differs where it may not.
    """
    keys = [ops.cast(mask, "bool") for mask in (value_mask, key_mask) if mask is not None]
    mask = None
    if attention_mask is not None:
        mask = ops.cast(attention_mask, "bool")
        shape = tuple(mask.shape)
        if not 2 <= len(shape) <= 4:
            raise ValueError(
                "`attention_mask` must be (batch, queries, keys) or (batch, heads, queries, keys), "
                f"got shape {shape}"
            )
        while len(mask.shape) < 4:
            mask = ops.expand_dims(mask, -3)
        if not pairs:
            if tuple(mask.shape[1:3]) != (1, 1):
                raise ValueError(
                    "`attention_mask` must be the same for all queries and heads, (batch, 1, keys),"
                    f" unless `form` is 'parallel', got shape {shape}"
                )
            keys.append(mask[:, 0, 0])
            mask = None
    together = None
    for one in keys:
        together = one if together is None else ops.logical_and(together, one)
    return mask, together
