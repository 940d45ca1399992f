"""Softmax attention with its scores formed: what is needed where scores are read or dropped."""

from typing import Any

from keras import ops

from wdattn.ops.at_least_float32 import at_least_float32

FORBIDDEN = -1e9  # the exponential of it is 0 beside that of any score


def attention_scores(query: Any, key: Any, mask: Any = None) -> Any:
    """Softmax over the keys of the products of queries and keys; in float32 or better.

    Args:
        query: `(batch, T, heads, dim)`, scaled already.
        key: `(batch, S, heads, dim)`, or `(batch, S, dim)`: one key for all heads.
        mask: None, or bool that broadcasts against `(batch, heads, T, S)`.

    Returns:
        `(batch, heads, T, S)` in the dtype of `query`; 0 for a query that may look at nothing.
    """
    heads = "h" if len(key.shape) == 4 else ""
    scores = ops.einsum(f"bthd,bs{heads}d->bhts", query, key)
    dtype = scores.dtype
    scores = ops.cast(scores, at_least_float32(scores))
    if mask is not None:
        scores = ops.where(mask, scores, FORBIDDEN)
    scores = ops.cast(ops.softmax(scores), dtype)
    return scores if mask is None else ops.where(mask, scores, 0.0)


def weigh(scores: Any, value: Any) -> Any:
    """Values summed with the scores as weights.

    Args:
        scores: `(batch, heads, T, S)`.
        value: `(batch, S, heads, dim)`, or `(batch, S, dim)`: one value for all heads.

    Returns:
        `(batch, T, heads, dim)`.
    """
    heads = "h" if len(value.shape) == 4 else ""
    return ops.einsum(f"bhts,bs{heads}d->bthd", scores, value)
