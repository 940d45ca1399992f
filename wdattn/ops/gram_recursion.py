"""The query token of a linear transformer, without its context tokens."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from wdattn import backend
from wdattn.ops.float_tensor import float_tensor

LAZY = 3  # layers whose Gram matrix is applied to vectors; forming them only pays beyond that


def gram_recursion(prompts: Any, values: Sequence[Any], key_queries: Sequence[Any]) -> Any:
    r"""The query token after a stack of linear self-attention layers.

    Layers of Ahn et al. (2024), Section 2, tokens as rows, with the paper's P and Q:

    $$Z' = Z + \tfrac{1}{n} (Z Q^\top Z^\top) M Z P^\top, \qquad M = \mathrm{diag}(1, \dots, 1, 0)$$

    The n context tokens C act through their Gram matrix alone. With $K = C^\top C / n$ and
    $A = I + Q^\top K P^\top$, a layer maps the query token $z \to z A$ and $K \to A^\top K A$: the
    cost of a layer does not depend on n. This is an identity, so derivatives of every order are
    those of the stack (`wdattn.layers.LinearSelfAttention`).

    The Gram matrices of the last layers are not formed: $A^\top (K (A v))$ is a chain of products
    with vectors, which needs O(f^2) memory and time a prompt where forming it needs O(f^3) time.
    The batch is the innermost axis throughout, so that each product runs over it without a stride.
    Products of two matrices that differ from prompt to prompt are `wdattn.backend.contract`.

    Args:
        prompts: `(batch, n + 1, f)` float, n >= 1; the last token is the query.
        values: sequence of `(f, f)` float, one a layer, at least one: the P of each layer.
        key_queries: sequence of `(f, f)` float, as many: the Q of each layer.

    Returns:
        `(batch, f)` in the dtype of the arguments: the query token after the last layer.

    Raises:
        ValueError: if the arguments are not of these shapes.
    """
    prompts, values, key_queries = _tensors(prompts, values, key_queries)
    tokens = ops.transpose(prompts, (1, 2, 0))
    context, query = tokens[:-1], tokens[-1]
    gram = backend.contract(context, context) / ops.cast(ops.shape(context)[0], prompts.dtype)

    formed = max(0, len(values) - LAZY)
    for value, key_query in zip(values[:formed], key_queries[:formed], strict=True):
        query = query + value @ _times(gram, key_query @ query)
        gram = _next_gram(gram, value, key_query)

    def gram_times(layer: int, vector: Any) -> Any:
        """K of a layer times the vectors `(f, batch)`."""
        if layer == formed:
            return _times(gram, vector)
        value, key_query = values[layer - 1], key_queries[layer - 1]
        transposed = ops.transpose(value), ops.transpose(key_query)
        vector = vector + transposed[1] @ gram_times(layer - 1, transposed[0] @ vector)
        vector = gram_times(layer - 1, vector)
        return vector + value @ gram_times(layer - 1, key_query @ vector)

    for layer in range(formed, len(values)):
        query = query + values[layer] @ gram_times(layer, key_queries[layer] @ query)
    return ops.transpose(query)


def _tensors(prompts: Any, values: Any, key_queries: Any) -> tuple[Any, list[Any], list[Any]]:
    """The arguments as tensors that fit together."""
    prompts = float_tensor("prompts", prompts, "(batch, n + 1, f)")
    shape = tuple(prompts.shape)
    if shape[1] in (0, 1) or not shape[2]:
        raise ValueError(f"`prompts` must be (batch, n + 1, f) with n >= 1, got shape {shape}")
    both = {"values": values, "key_queries": key_queries}
    for name, matrices in both.items():
        if not hasattr(matrices, "__len__") or isinstance(matrices, str | dict):
            raise ValueError(f"`{name}` must be a sequence of (f, f) matrices, got {matrices!r}")
    if not len(values) == len(key_queries) > 0:
        raise ValueError(
            "`values` and `key_queries` must hold one matrix for each layer, at least one, got "
            f"{len(values)} and {len(key_queries)}"
        )
    for name, matrices in both.items():
        both[name] = []
        for layer, matrix in enumerate(matrices):
            if not ops.is_tensor(matrix):  # else the shape and the dtype say all, and it is fast
                matrix = float_tensor(f"{name}[{layer}]", matrix, "(f, f)")
            if tuple(matrix.shape) != (shape[2], shape[2]) or matrix.dtype != prompts.dtype:
                wanted, got = (keras.backend.standardize_dtype(x.dtype) for x in (prompts, matrix))
                raise ValueError(
                    f"`{name}[{layer}]` must be {(shape[2], shape[2])} of {wanted}, as `prompts` "
                    f"has {shape[2]} features, got shape {tuple(matrix.shape)} of {got}"
                )
            both[name].append(matrix)
    return prompts, both["values"], both["key_queries"]


def _times(gram: Any, vector: Any) -> Any:
    """K, symmetric, times the vectors `(f, batch)`."""
    return backend.contract(gram, vector[:, None])[:, 0]


def _next_gram(gram: Any, value: Any, key_query: Any) -> Any:
    """A^T K A."""
    f = value.shape[0]
    # Q^T K P^T as one product with the matrix of the map K -> Q^T K P^T: three times the
    # arithmetic of two products, in a shape that multiplies fast on every backend.
    transposed = ops.transpose(key_query)
    both = ops.reshape(transposed[:, None, :, None] * value[None, :, None, :], (f * f, f * f))
    scores = ops.reshape(both @ ops.reshape(gram, (f * f, -1)), (f, f, -1))
    a = ops.eye(f, dtype=scores.dtype)[:, :, None] + scores
    return backend.contract(a, backend.contract(gram, a))
