"""Linear attention: scores are products of features, without a softmax over keys."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from wdattn import arguments
from wdattn.ops import linear_attention_forms as forms
from wdattn.ops.feature_maps import feature_map_of
from wdattn.ops.float_tensor import float_tensor

FORMS = ("parallel", "chunked", "recurrent")


@dataclass(frozen=True)
class Chunked:
    """The chunked form of `linear_attention`, with another size of its chunks.

    Args:
        size: int >= 1. Tokens in a chunk, at most.

    Raises:
        ValueError: if it is not of this kind.
    """

    size: int = 64

    def __post_init__(self):
        object.__setattr__(self, "size", arguments.integer("size", self.size))


def linear_attention(
    query: Any,
    key: Any,
    value: Any,
    *,
    mask: Any = None,
    feature_map: str | Callable[[Any], Any] = "elu",
    causal: bool = False,
    normalize: bool = True,
    form: str | Chunked = "chunked",
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

    - "parallel" forms all scores: O(tokens^2) time and memory, and the only one for a `mask` that
      differs from query to query or from head to head.
    - "chunked" forms the scores within chunks and passes S and z from chunk to chunk: O(tokens),
      all chunks at once. Any number of tokens; the last chunk is padded inside. It is
      `Chunked(64)`, chunks of at most 64 tokens.
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
        mask: bool, broadcastable to `(batch, heads, queries, keys)`, or None. Where False the query
            does not see the key. Its axes of heads and of queries are 1, unless the form is
            "parallel" and no states go in or out.
        feature_map: "identity", "elu" (elu(x) + 1), "relu", "softmax" (over `dim`), or a callable
            from `(..., dim)` to `(..., features)`.
        causal: bool.
        normalize: bool. Whether to divide by the sum of the scores.
        form: "parallel", "chunked", a `Chunked`, or "recurrent".
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
    chunks = form if isinstance(form, Chunked) else Chunked()
    settings: dict[str, Any] = {
        "feature_map": feature_map,
        "causal": arguments.flag("causal", causal),
        "normalize": arguments.flag("normalize", normalize),
        "form": "chunked" if form is chunks else arguments.choice("form", form, FORMS),
        "chunk_size": chunks.size,
        "return_state": arguments.flag("return_state", return_state),
    }
    tensors = query, key, value, mask, state
    if any(keras.utils.is_keras_tensor(tensor) for tensor in tensors):
        return LinearAttentionOperation(**settings)(*tensors)
    return _attend(*tensors, **settings)


def linear_attention_scores(
    query: Any,
    key: Any,
    *,
    mask: Any = None,
    feature_map: str | Callable[[Any], Any] = "elu",
    causal: bool = False,
    normalize: bool = True,
) -> Any:
    r"""The scores of `linear_attention`: what each query takes of each value.

    $$a_{ij} = \phi(q_i)^\top \phi(k_j) \Big/ \sum_j \phi(q_i)^\top \phi(k_j)$$

    Args:
        query: `(batch, queries, heads, dim)` float.
        key: `(batch, keys, heads, dim)` float.
        mask: bool, broadcastable to `(batch, heads, queries, keys)`, or None.
        feature_map: as for `linear_attention`, like all that follows.
        causal: bool.
        normalize: bool.

    Returns:
        `(batch, heads, queries, keys)` in the dtype of the arguments, 0 where a key is not seen.

    Raises:
        ValueError: if an argument is not of this kind.
    """
    arguments.flag("causal", causal)
    arguments.flag("normalize", normalize)
    dtype, query, key = _tensors(query=query, key=key)
    mask, key_mask = _masks(mask, query, key)
    query, key = _features(feature_map, query, key, key_mask)
    scores = forms.scores(query, key, causal, mask)
    if normalize:
        scores = forms.divided(scores, ops.sum(scores, axis=-1, keepdims=True))
    return ops.cast(scores, dtype)


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
    mask, key_mask = _masks(mask, query, key)
    if mask is not None and form != "parallel":
        raise ValueError(
            "`mask` must be the same for all queries and heads, (batch, 1, 1, keys), unless `form` "
            f"is 'parallel', got shape {tuple(mask.shape)} and form {form!r}"
        )
    if mask is not None and (state is not None or return_state):
        raise ValueError(
            "`mask` must be the same for all queries and heads, (batch, 1, 1, keys), where states "
            f"go in or out, for they know no query, got shape {tuple(mask.shape)}"
        )
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
    outputs = ops.cast(outputs, dtype)
    return (outputs, after) if return_state else outputs


def _masks(mask: Any, query: Any, key: Any) -> tuple[Any, Any]:
    """The mask as one of pairs, or as one of keys, `(batch, keys, 1, 1)`: the other is None."""
    if mask is None:
        return None, None
    wanted = (query.shape[0], query.shape[2], query.shape[1], key.shape[1])
    allowed = f"`mask` must be bool, broadcastable to (batch, heads, queries, keys), here {wanted}"
    try:
        mask = mask if ops.is_tensor(mask) else ops.convert_to_tensor(mask)
        dtype = keras.backend.standardize_dtype(mask.dtype)
    except Exception as error:  # each backend has its own for what is no array
        raise ValueError(f"{allowed}, got a {type(mask).__name__}") from error
    shape = tuple(mask.shape)
    fits = len(shape) == 4 and all(
        size == 1 or _fits((size,), (own,), (0,)) for size, own in zip(shape, wanted, strict=True)
    )
    # Floats may be there to be added to scores, where 0 means True.
    if not fits or keras.backend.is_float_dtype(dtype):
        raise ValueError(f"{allowed}, got shape {shape} of {dtype}")
    mask = ops.cast(mask, "bool")
    if shape[1:3] == (1, 1):
        return None, ops.transpose(mask, (0, 3, 1, 2))
    return mask, None


def _tensors(**tensors: Any) -> list[Any]:
    """Their common dtype, then query, key and perhaps value, in at least float32."""
    tensors = {
        name: float_tensor(name, x, "(batch, tokens, heads, dim)") for name, x in tensors.items()
    }
    query = tensors["query"]
    for name, axes, shared in (
        ("key", (0, 2, 3), ", heads and dim"),
        ("value", (0, 2), " and heads"),
    ):
        if name in tensors and not _fits(tensors[name].shape, query.shape, axes):
            raise ValueError(
                f"`{name}` must have the batch{shared} of `query`, {tuple(query.shape)}, got shape "
                f"{tuple(tensors[name].shape)}"
            )
    if "value" in tensors and not _fits(tensors["value"].shape, tensors["key"].shape, (1,)):
        raise ValueError(
            f"`value` must have a token for each of `key`, {tuple(tensors['key'].shape)}, got "
            f"shape {tuple(tensors['value'].shape)}"
        )
    dtypes = {keras.backend.standardize_dtype(tensor.dtype) for tensor in tensors.values()}
    # Of several dtypes, Keras' choice; but of float64 alone it makes float32 on JAX and PyTorch.
    dtype = keras.backend.result_type(*dtypes) if len(dtypes) > 1 else dtypes.pop()
    wide = "float32" if dtype in ("float16", "bfloat16") else dtype
    return [dtype, *(ops.cast(tensor, wide) for tensor in tensors.values())]


def _fits(shape: Any, other: Any, axes: tuple[int, ...]) -> bool:
    """Whether two shapes agree on some axes, where they are known."""
    return all(None in (shape[axis], other[axis]) or shape[axis] == other[axis] for axis in axes)


def _features(feature_map: Any, query: Any, key: Any, key_mask: Any) -> tuple[Any, Any]:
    """Features of queries and keys; those of a masked key are 0."""
    function, features = feature_map_of(feature_map), []
    for x in (query, key):
        features.append(function(x))
        shape = getattr(features[-1], "shape", ())
        if len(shape) != 4 or not _fits(shape, x.shape, (0, 1, 2)):
            raise ValueError(
                f"`feature_map` must make (..., features) of (..., dim), got {feature_map!r}"
            )
    query, key = features
    if key_mask is not None:
        key = ops.where(key_mask, key, ops.zeros((), dtype=key.dtype))
    return query, key


def _state(state: Any, key: Any, value: Any, normalize: bool) -> Any:
    axes = "(batch, heads, features, value_dim + normalize)"
    state = ops.cast(float_tensor("state", state, axes), key.dtype)
    width = None if value.shape[3] is None else value.shape[3] + normalize
    wanted = (key.shape[0], key.shape[2], key.shape[3], width)
    if not _fits(state.shape, wanted, (0, 1, 2, 3)):
        raise ValueError(f"`state` must be {axes}, here {wanted}, got shape {tuple(state.shape)}")
    return state
