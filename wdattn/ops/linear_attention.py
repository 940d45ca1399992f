"""Linear attention: scores are products of features, without a softmax over keys."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from wdattn.ops import linear_attention_forms as forms
from wdattn.ops.feature_maps import feature_map_of

FORMS = ("parallel", "chunked", "recurrent")


def linear_attention(
    query: Any,
    key: Any,
    value: Any,
    *,
    feature_map: str | Callable[[Any], Any] = "elu",
    causal: bool = False,
    normalize: bool = True,
    form: str = "chunked",
    query_mask: Any = None,
    key_mask: Any = None,
    mask: Any = None,
    chunk_size: int = 64,
    state: Any = None,
    return_state: bool = False,
) -> Any:
    r"""Attention with scores $\phi(q_i)^\top \phi(k_j)$, at a cost linear in the number of tokens.

    $$o_i = \frac{\sum_j \phi(q_i)^\top \phi(k_j) \, v_j}{\sum_j \phi(q_i)^\top \phi(k_j)}
          = \frac{\phi(q_i)^\top S_i}{\phi(q_i)^\top z_i}, \qquad
          S_i = \sum_j \phi(k_j) v_j^\top, \quad z_i = \sum_j \phi(k_j)$$

    Katharopoulos et al. (2020), equations 4 to 6, and 8 to 12 where `causal`: there j runs to i
    only. Called like `keras.ops.dot_product_attention`, on tensors of the same shapes; nothing is
    scaled by $1 / \sqrt{\mathrm{dim}}$. The forms are one sum in three orders:

    - "parallel" forms all scores: O(tokens^2) time and memory, and the only one for a `mask`.
    - "chunked" forms the scores within chunks and passes S and z from chunk to chunk: O(tokens),
      all chunks at once. Any number of tokens; the last chunk is padded inside.
    - "recurrent" goes token by token: O(tokens), one after the other, with S and z as its memory.

    Where a denominator is exactly 0, the output is 0 and passes no gradient: a query that sees no
    key, or relu features without a common one. "identity", or a callable that can be negative, can
    have denominators of either sign near 0; they are divided by as they are, so use
    `normalize=False` unless you know better.

    float16 and bfloat16 are computed in float32.

    Args:
        query: `(batch, queries, heads, dim)` float.
        key: `(batch, keys, heads, dim)` float. With `causal`, query i sees keys 0 to i, also where
            there are more or fewer keys than queries.
        value: `(batch, keys, heads, value_dim)` float.
        feature_map: "identity", "elu" (elu(x) + 1), "relu", "softmax" (over `dim`), or a callable
            from `(..., dim)` to `(..., features)`.
        causal: bool.
        normalize: bool. Whether to divide by the sum of the scores.
        form: "parallel", "chunked" or "recurrent".
        query_mask: bool, broadcastable to `(batch, queries)`, or None. Where False the output is 0.
        key_mask: bool, broadcastable to `(batch, keys)`, or None. Where False a key is not seen.
        mask: bool, broadcastable to `(batch, heads, queries, keys)`, or None. Where False the query
            does not see the key. "parallel" only, and without states.
        chunk_size: int >= 1. Tokens in a chunk, at most.
        state: `(batch, heads, features, value_dim + normalize)`, or None: the state returned for
            the tokens before these. Every query sees them all.
        return_state: bool. Whether to return the state as well.

    Returns:
        `(batch, queries, heads, value_dim)` in the dtype of the arguments; with `return_state` a
        pair of it and the state, S with z as its last column if `normalize`, in float32 or float64.

    Raises:
        ValueError: if an argument is not of this kind.

    Examples:
        >>> x = keras.ops.ones((1, 3, 1, 2))
        >>> linear_attention(x, x, x, causal=True).shape == x.shape
        True
        >>> settings = {"causal": True, "normalize": False}
        >>> first, state = linear_attention(x, x, x, return_state=True, **settings)
        >>> more = linear_attention(x, x, x, state=state, **settings)
        >>> [float(y[0, 2, 0, 0]) for y in (first, more)]  # (2 * 2 + 2 * 2) for each token seen
        [24.0, 48.0]
    """
    settings: dict[str, Any] = {
        "feature_map": feature_map,
        "causal": causal,
        "normalize": normalize,
        "form": form,
        "chunk_size": chunk_size,
        "return_state": return_state,
    }
    tensors = query, key, value, query_mask, key_mask, mask, state
    if any(keras.utils.is_keras_tensor(tensor) for tensor in tensors):
        return LinearAttentionOperation(**settings)(*tensors)
    return _attend(*tensors, **settings)


def linear_attention_scores(
    query: Any,
    key: Any,
    *,
    feature_map: str | Callable[[Any], Any] = "elu",
    causal: bool = False,
    normalize: bool = True,
    query_mask: Any = None,
    key_mask: Any = None,
    mask: Any = None,
) -> Any:
    r"""The scores of `linear_attention`: what each query takes of each value.

    $$a_{ij} = \phi(q_i)^\top \phi(k_j) \Big/ \sum_j \phi(q_i)^\top \phi(k_j)$$

    Args:
        query: `(batch, queries, heads, dim)` float.
        key: `(batch, keys, heads, dim)` float.
        feature_map: as for `linear_attention`, like all that follows.
        causal: bool.
        normalize: bool.
        query_mask: bool, broadcastable to `(batch, queries)`, or None.
        key_mask: bool, broadcastable to `(batch, keys)`, or None.
        mask: bool, broadcastable to `(batch, heads, queries, keys)`, or None.

    Returns:
        `(batch, heads, queries, keys)` in the dtype of the arguments, 0 where a key is not seen.

    Raises:
        ValueError: if an argument is not of this kind.
    """
    dtype, query, key = _tensors(query=query, key=key)
    query, key = _features(feature_map, query, key, key_mask)
    found = forms.scores(query, key, causal, mask)
    if normalize:
        found = forms.divided(found, ops.sum(found, axis=-1, keepdims=True))
    return ops.cast(_kept(query_mask, found, tokens=2), dtype)


@keras.saving.register_keras_serializable("wdattn")
class LinearAttentionOperation(keras.Operation):
    """`linear_attention` as a node of a functional model, saved with it."""

    def __init__(self, **settings):
        super().__init__()
        self.settings = settings

    def call(self, *tensors):
        return _attend(*tensors, **self.settings)

    def get_config(self):
        return self.settings

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))


def _attend(
    query: Any,
    key: Any,
    value: Any,
    query_mask: Any,
    key_mask: Any,
    mask: Any,
    state: Any,
    *,
    feature_map: Any,
    causal: bool,
    normalize: bool,
    form: str,
    chunk_size: int,
    return_state: bool,
) -> Any:
    dtype, query, key, value = _tensors(query=query, key=key, value=value)
    _check(form, chunk_size, mask, state, return_state)
    query, key = _features(feature_map, query, key, key_mask)
    if state is not None:
        state = _state(state, key, value, normalize)
    settings = query, key, value, state, causal, normalize
    if form == "parallel":
        outputs, after = forms.parallel(*settings, mask)
    elif form == "chunked":
        outputs, after = forms.chunked(*settings, chunk_size)
    else:
        outputs, after = forms.recurrent(*settings)
    outputs = ops.cast(_kept(query_mask, outputs, tokens=1), dtype)
    return (outputs, after) if return_state else outputs


def _check(form: str, chunk_size: int, mask: Any, state: Any, return_state: bool) -> None:
    if form not in FORMS:
        raise ValueError(f"`form` must be one of {', '.join(FORMS)}, got {form!r}")
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size < 1:
        raise ValueError(f"`chunk_size` must be an int >= 1, got {chunk_size!r}")
    if mask is not None and form != "parallel":
        raise ValueError(f"`mask` must be None unless `form` is 'parallel', got form {form!r}")
    if mask is not None and (state is not None or return_state):
        raise ValueError("`mask` must be None where states go in or out: they know no query")


def _tensors(**tensors: Any) -> list[Any]:
    """Their common dtype, then query, key and perhaps value, in at least float32."""
    found = {name: ops.convert_to_tensor(tensor) for name, tensor in tensors.items()}
    for name, tensor in found.items():
        if len(tensor.shape) != 4 or not keras.backend.is_float_dtype(tensor.dtype):
            raise ValueError(
                f"`{name}` must be (batch, tokens, heads, dim) float, got shape "
                f"{tuple(tensor.shape)} of {keras.backend.standardize_dtype(tensor.dtype)}"
            )
    query = found["query"]
    for name, axes, said in (
        ("key", (0, 2, 3), ", heads and dim"),
        ("value", (0, 2), " and heads"),
    ):
        if name in found and not _fits(found[name].shape, query.shape, axes):
            raise ValueError(
                f"`{name}` must have the batch{said} of `query`, {tuple(query.shape)}, got shape "
                f"{tuple(found[name].shape)}"
            )
    if "value" in found and not _fits(found["value"].shape, found["key"].shape, (1,)):
        raise ValueError(
            f"`value` must have a token for each of `key`, {tuple(found['key'].shape)}, got shape "
            f"{tuple(found['value'].shape)}"
        )
    dtypes = {keras.backend.standardize_dtype(tensor.dtype) for tensor in found.values()}
    # Of several dtypes, Keras' choice; but of float64 alone it makes float32 on JAX and PyTorch.
    dtype = keras.backend.result_type(*dtypes) if len(dtypes) > 1 else dtypes.pop()
    wide = "float32" if dtype in ("float16", "bfloat16") else dtype
    return [dtype, *(ops.cast(tensor, wide) for tensor in found.values())]


def _fits(shape: Any, other: Any, axes: tuple[int, ...]) -> bool:
    """Whether two shapes agree on some axes, where they are known."""
    return all(None in (shape[axis], other[axis]) or shape[axis] == other[axis] for axis in axes)


def _features(feature_map: Any, query: Any, key: Any, key_mask: Any) -> tuple[Any, Any]:
    """Features of queries and keys; those of a masked key are 0."""
    function = feature_map_of(feature_map)
    return function(query), _kept(key_mask, function(key), tokens=1)


def _kept(mask: Any, x: Any, tokens: int) -> Any:
    """`x` where a mask of `(batch, tokens)` holds, else 0; `tokens` is their axis in `x`."""
    if mask is None:
        return x
    mask = ops.convert_to_tensor(mask, "bool")
    if len(mask.shape) != 2:
        raise ValueError(
            f"`query_mask` and `key_mask` must be (batch, tokens), got shape {tuple(mask.shape)}"
        )
    mask = mask[:, :, None, None] if tokens == 1 else mask[:, None, :, None]
    return ops.where(mask, x, ops.zeros((), dtype=x.dtype))


def _state(state: Any, key: Any, value: Any, normalize: bool) -> Any:
    state = ops.convert_to_tensor(state, dtype=key.dtype)
    width = None if value.shape[3] is None else value.shape[3] + normalize
    wanted = (key.shape[0], key.shape[2], key.shape[3], width)
    if len(state.shape) != 4 or not _fits(state.shape, wanted, (0, 1, 2, 3)):
        raise ValueError(
            "`state` must be (batch, heads, features, value_dim + normalize), here "
            f"{wanted}, got shape {tuple(state.shape)}"
        )
    return state
