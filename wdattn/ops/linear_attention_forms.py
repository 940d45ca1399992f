"""The three forms of linear attention, on features: one sum, put together in three orders.

`query` and `key` are features `(batch, tokens, heads, features)`; a masked key is 0. `value` is
`(batch, tokens, heads, width)`. To `normalize`, a form gives each value a last entry of 1, so that
the denominators are one more output, and divides by them. `memory` is the sum of key value^T over
the tokens before, `(batch, heads, features, width + normalize)`, or None where there were none. A
form gives the outputs and the memory after the last token.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

# So many chunks are summed by one product with a triangle of ones. It costs the square of their
# number, and is still faster than `ops.cumsum`, which also rounds float64 on PyTorch.
SUMMED = 32


def scores(query: Any, key: Any, causal: bool, mask: Any = None) -> Any:
    """Products of queries and keys, `(batch, heads, queries, keys)`, 0 where a key is not seen."""
    products = ops.einsum("bthf,bshf->bhts", query, key)
    if causal:
        products = ops.tril(products)
    if mask is None:
        return products
    return ops.where(ops.cast(mask, "bool"), products, ops.zeros((), dtype=products.dtype))


def divided(numerators: Any, denominators: Any) -> Any:
    """The quotients, and 0 where a denominator is 0: there the gradients are 0 too."""
    # Not `ops.divide_no_nan`, whose gradient there is not a number on PyTorch.
    none = denominators == 0
    one, zero = (ops.full((), number, dtype=denominators.dtype) for number in (1, 0))
    return numerators * ops.where(none, zero, one / ops.where(none, one, denominators))


def parallel(
    query: Any,
    key: Any,
    value: Any,
    memory: Any,
    causal: bool,
    normalize: bool,
    mask: Any = None,
) -> tuple[Any, Any]:
    """All scores at once: O(queries * keys)."""
    value = _counted(value, normalize)
    outputs = ops.einsum("bhts,bshv->bthv", scores(query, key, causal, mask), value)
    if memory is not None:
        outputs = outputs + _read(memory, query)
    return _normalized(outputs, normalize), _written(memory, key, value)


def chunked(
    query: Any,
    key: Any,
    value: Any,
    memory: Any,
    causal: bool,
    normalize: bool,
    chunk_size: int,
) -> tuple[Any, Any]:
    """Scores within chunks of tokens, memories between them: O(tokens).

    All chunks are one batch of matrices, so nothing loops over tokens. Without a causal mask the
    memory of all tokens is what every query reads, and there are no chunks.
    """
    if not causal:
        after = _written(memory, key, _counted(value, normalize))
        return _normalized(_read(after, query), normalize), after
    batch, length, heads, _ = ops.shape(query)
    tokens = _longer(length, ops.shape(key)[1])
    count = (tokens + chunk_size - 1) // chunk_size
    size = chunk_size
    if isinstance(count, int):
        count = max(count, 1)
        size = max(-(-tokens // count), 1)  # even chunks: less to pad

    def chunks(x):
        x = ops.transpose(_padded(x, count * size), (0, 2, 1, 3))
        return ops.reshape(x, (batch * heads * count, size, x.shape[-1]))

    # Values are counted, and outputs divided, as chunks: XLA does a single sequence by one core.
    query, key, value = chunks(query), chunks(key), _counted(chunks(value), normalize)
    features, width = key.shape[-1], value.shape[-1]
    transposed = ops.transpose(key, (0, 2, 1))
    # `@`, since `ops.matmul` makes float32 of float64 on PyTorch.
    outputs = ops.tril(query @ transposed) @ value
    added = transposed @ value
    before = _before(ops.reshape(added, (batch * heads, count, features * width)), count)
    added, before = (
        ops.reshape(x, (batch, heads, count, features, width)) for x in (added, before)
    )
    if memory is not None:
        before = before + memory[:, :, None]
    after = before[:, :, -1] + added[:, :, -1]
    before = ops.reshape(before, (batch * heads * count, features, width))
    outputs = _normalized(outputs + query @ before, normalize)
    outputs = ops.reshape(outputs, (batch, heads, count * size, outputs.shape[-1]))
    return ops.transpose(outputs, (0, 2, 1, 3))[:, :length], after


def recurrent(
    query: Any, key: Any, value: Any, memory: Any, causal: bool, normalize: bool
) -> tuple[Any, Any]:
    """Token by token, in a memory of constant size: O(tokens)."""
    value = _counted(value, normalize)
    length = ops.shape(query)[1]
    tokens = [key, value]
    if causal:
        longest = _longer(length, ops.shape(key)[1])
        tokens = [_padded(x, longest) for x in (key, value, query)]
    if memory is None:
        memory = ops.zeros_like(key[:, 0, :, :, None] * value[:, 0, :, None, :])
    # Not `keras.ops.scan`, whose outputs must have the shape of the memory on TensorFlow.
    loop = keras.layers.RNN(
        _Cell(memory, key.shape[-1], value.shape[-1]),
        return_sequences=causal,
        return_state=True,
        dtype=memory.dtype,
        name="linear_attention_tokens",
    )
    outputs, after = loop(ops.concatenate(tokens, -1), initial_state=[memory])
    outputs = outputs[:, :length] if causal else _read(after, query)
    return _normalized(outputs, normalize), after


class _Cell:
    """One token, key and value and perhaps query side by side: write, then read."""

    def __init__(self, memory, features, width):
        self.compute_dtype = keras.backend.standardize_dtype(memory.dtype)
        self.state_size, self.output_size = [features * width], width
        self.features, self.width = features, width

    def call(self, token, states):
        key, value, query = ops.split(token, [self.features, self.features + self.width], axis=-1)
        memory = states[0] + key[..., None] * value[..., None, :]
        # Without a query the outputs are not asked for.
        read = ops.einsum("bhf,bhfv->bhv", query, memory) if query.shape[-1] else value
        return read, [memory]

    __call__ = call


def _counted(value: Any, normalize: bool) -> Any:
    """Values with a last entry of 1, whose sums are the denominators."""
    return ops.concatenate([value, ops.ones_like(value[..., :1])], -1) if normalize else value


def _normalized(outputs: Any, normalize: bool) -> Any:
    return divided(outputs[..., :-1], outputs[..., -1:]) if normalize else outputs


def _before(added: Any, count: Any) -> Any:
    """Sums of what came before, along axis 1 of `(rows, count, size)`."""
    rows, _, size = ops.shape(added)
    if not isinstance(count, int):
        none = ops.zeros_like(added[:, :1])
        return ops.cumsum(ops.concatenate([none, added[:, :-1]], axis=1), axis=1)
    if count <= SUMMED:
        return _triangle(count, added.dtype) @ added
    groups = -(-count // SUMMED)
    added = _padded(added, groups * SUMMED)
    added = ops.reshape(added, (rows * groups, SUMMED, size))
    before = _triangle(SUMMED, added.dtype) @ added
    totals = ops.reshape(before[:, -1] + added[:, -1], (rows, groups, size))
    before = ops.reshape(before, (rows, groups, SUMMED, size))
    before = before + _before(totals, groups)[:, :, None]
    return ops.reshape(before, (rows, groups * SUMMED, size))[:, :count]


def _triangle(count: int, dtype: Any) -> Any:
    """Ones below the diagonal."""
    return ops.convert_to_tensor(np.tri(count, k=-1), dtype=dtype)


def _written(memory: Any, key: Any, value: Any) -> Any:
    """The memory after these tokens."""
    added = ops.einsum("bshf,bshv->bhfv", key, value)
    return added if memory is None else memory + added


def _read(memory: Any, query: Any) -> Any:
    """What queries find in a memory."""
    return ops.einsum("bthf,bhfv->bthv", query, memory)


def _longer(one: Any, other: Any) -> Any:
    """The larger of two lengths; a dynamic one is a tensor."""
    return ops.maximum(one, other) if any(map(ops.is_tensor, (one, other))) else max(one, other)


def _padded(x: Any, length: Any) -> Any:
    """Tokens of zeros added up to a length."""
    batch, tokens, *rest = ops.shape(x)
    missing = length - tokens
    if isinstance(missing, int) and not missing:
        return x
    # Not `ops.pad`, which takes no symbolic length on JAX.
    return ops.concatenate([x, ops.zeros((batch, missing, *rest), dtype=x.dtype)], axis=1)
