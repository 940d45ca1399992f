"""Finds the attention layers of any Keras model and reads their matrices head by head."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from wdattn.arguments import is_integer
from wdattn.diagnostics.effective_kernel import effective_kernel, host
from wdattn.layers import LinearSelfAttention
from wdattn.spectra import AttentionHeads, MergedHeads
from wdattn.spectra.attention_heads import (
    bias_by_head,
    by_head,
    rotated_halves,
    rotated_neighbours,
)


@dataclass(frozen=True)
class Signature:
    """Names of the sub-layers by which an attention layer is known; all of them must be there."""

    query: str
    key: str
    value: str
    output: str


# A new kind of attention is a line here, if its projections are separate layers.
SIGNATURES = (
    Signature("query", "key", "value", "attention_output"),  # keras.layers, most of keras_hub
    Signature("query_dense", "key_dense", "value_dense", "output_dense"),  # Bloom, Falcon
    Signature("q_proj", "k_proj", "v_proj", "out_proj"),  # CLIP of keras_cv
    Signature("q_proj", "k_proj", "v_proj", "o_proj"),  # DINOv3, SmolLM3
    Signature("query_proj", "key_proj", "value_proj", "out_proj"),  # PaliGemma's image encoder
    Signature("query_projector", "key_projector", "value_projector", "output_projector"),  # T5
    Signature("q_dense_layer", "k_dense_layer", "v_dense_layer", "o_dense_layer"),  # RoFormer
)
FUSED = ("query_key_value", "attention_output")  # GPT-NeoX: each head's three side by side

# Where the projections are `Dense`, the layer itself says how many heads they hold.
_HEADS = ("num_heads", "num_query_heads", "num_attention_heads", "heads")

# Layers that rotate queries and keys, by the name of the class or of a base: which units are pairs.
_ROTATIONS = {
    "RotaryEmbedding": rotated_halves,
    "SmolLM3RotaryEmbedding": rotated_halves,
    "RoformrPositionalEmbedding": rotated_neighbours,
}


def attention_layers(model: keras.Model) -> list[AttentionHeads | MergedHeads]:
    """The attention layers of a model, also of models and layers nested in it, head by head.

    It knows `MultiHeadAttention` and `GroupQueryAttention` of Keras, layers that name their
    projections as those do, most attention of keras_hub, CLIP's of keras_cv, and
    `LinearSelfAttention`, whose weights are the products themselves (`MergedHeads`). A kernel is
    read as the layer applies it: decoded where it is quantized, with its LoRA update. Scale, mask,
    dropout and gates are not part of the matrices.

    Args:
        model: a built Keras model or layer; nothing in it changes.

    Returns:
        One record a layer, float64, in the order in which the model holds its layers; empty if it
        has no attention that is known. `iterate_attention_layers` holds one layer at a time.

    Raises:
        ValueError: if the model or one of its attention layers is not built, or a layer's kernels
            do not fit its heads.
    """
    return list(iterate_attention_layers(model))


def iterate_attention_layers(
    model: keras.Model, layer: int | None = None
) -> Iterator[AttentionHeads | MergedHeads]:
    """The layers of `attention_layers` one at a time, for models whose copy does not fit in memory.

    Args:
        model: a built Keras model or layer; nothing in it changes.
        layer: int >= 0. This layer alone, counted from 0; None for all.

    Yields:
        One record a layer.

    Raises:
        ValueError: as `attention_layers`, or if there is no such layer.
    """
    if not isinstance(model, keras.layers.Layer):
        raise ValueError(f"`model` must be a Keras model or layer, got {type(model).__name__}")
    if not model.built:
        raise ValueError(f"`model` must be built: call {model.name!r} on data first")
    attention = [inner for inner in model._flatten_layers() if _is_attention(inner)]
    if layer is not None:
        if not (is_integer(layer) and 0 <= layer < len(attention)):
            raise ValueError(
                f"`layer` must be None or an int in 0 to {len(attention) - 1} for {model.name!r}, "
                f"got {layer!r}"
            )
        attention = attention[layer : layer + 1]
    for inner in attention:
        yield _merged(inner) if isinstance(inner, LinearSelfAttention) else _factored(inner)


def _is_attention(layer) -> bool:
    if isinstance(layer, LinearSelfAttention):
        return True
    signature, parts = _signature(layer), _sublayers(layer)
    if signature is None:
        return False
    names = vars(signature).values() if isinstance(signature, Signature) else signature
    if idle := [name for name in names if not parts[name].built]:
        raise ValueError(
            f"`model` must be built: {idle[0]!r} of {layer.path or layer.name!r} has no kernel yet"
        )
    return all(hasattr(parts[name], "kernel") for name in names)


def _sublayers(layer) -> dict[str, keras.layers.Layer]:
    return {sub.name: sub for sub in layer._flatten_layers(include_self=False, recursive=False)}


def _signature(layer) -> Signature | tuple[str, str] | None:
    names = _sublayers(layer).keys()
    for signature in SIGNATURES:
        if names >= set(vars(signature).values()):
            return signature
    return FUSED if names >= set(FUSED) else None


def _merged(layer: LinearSelfAttention) -> MergedHeads:
    value, key_query = (host(matrix)[None] for matrix in layer.matrices())
    return MergedHeads(layer.path or layer.name, key_query, value)


def _factored(layer) -> AttentionHeads:
    parts, signature = _sublayers(layer), _signature(layer)
    if isinstance(signature, Signature):
        matrices = [_matrix(parts[name]) for name in vars(signature).values()]
        query, key, value, output = (matrix for matrix, _ in matrices)
        biases: list[np.ndarray | None] = [bias for _, bias in matrices[:3]]
        heads = _heads(layer, parts[signature.query])
    else:
        heads = _heads(layer, parts[FUSED[0]])
        matrix, bias = _matrix(parts[FUSED[0]])
        query, key, value = _thirds(matrix, heads)
        biases = [None] * 3 if bias is None else [*_thirds(bias, heads)]
        output, _ = _matrix(parts[FUSED[1]])
    rank = query.shape[1] // heads
    groups = key.shape[1] // rank if rank else 0
    name = layer.path or layer.name
    if not groups or heads * rank != query.shape[1] or groups * rank != key.shape[1]:
        raise ValueError(
            f"{name!r} must have kernels for {heads} heads, got {query.shape[1]} query units and "
            f"{key.shape[1]} key units"
        )
    return AttentionHeads(
        name=name,
        query=by_head(query, heads, "query"),
        key=by_head(key, groups, "key"),
        value=by_head(value, groups, "value"),
        output=by_head(output.T, heads, "output"),
        query_bias=bias_by_head(biases[0], heads, "query"),
        key_bias=bias_by_head(biases[1], groups, "key"),
        value_bias=bias_by_head(biases[2], groups, "value"),
        rotary=_rotary(layer, parts, rank),
        query_key_norm=any(map(_normalises, parts.values())),
    )


def _matrix(layer) -> tuple[np.ndarray, np.ndarray | None]:
    """A projection's kernel as `(inputs, outputs)`, heads outermost, and its bias as a vector."""
    kernel = effective_kernel(layer)
    held = getattr(layer, "bias", None)
    bias = None if held is None else host(held).ravel()
    if not isinstance(layer, keras.layers.EinsumDense):
        return kernel, bias
    operands, outputs = layer.equation.replace(" ", "").split("->")
    inputs, axes = operands.split(",")
    # In the order of the tokens' axes: heads come before their units on either side.
    summed = [axis for axis in inputs if axis in axes and axis not in outputs]
    kept = [axis for axis in outputs if axis in axes]
    ordered = kernel.transpose([axes.index(axis) for axis in summed + kept])
    return ordered.reshape(math.prod(ordered.shape[: len(summed)]), -1), bias


def _heads(layer: Any, query: Any) -> int:
    """How many heads ask: the kernel's axis, or what the layer says."""
    if isinstance(query, keras.layers.EinsumDense):
        operands, outputs = query.equation.replace(" ", "").split("->")
        axes = operands.split(",")[1]
        kept = [axis for axis in outputs if axis in axes]
        if len(kept) > 1:
            shape = getattr(query, "original_kernel_shape", query.kernel.shape)  # int4's is packed
            return shape[axes.index(kept[0])]
    for name in _HEADS:
        count: Any = getattr(layer, name, None)
        if is_integer(count) and count >= 1:
            return int(count)
    raise ValueError(
        f"{layer.path or layer.name!r} must say its heads as one of {', '.join(_HEADS)}"
    )


def _thirds(matrix: np.ndarray, heads: int) -> list[np.ndarray]:
    """The last axis holds query, key and value of one head, then of the next."""
    if matrix.shape[-1] % (3 * heads):
        raise ValueError(
            f"{FUSED[0]!r} must have query, key and value of {heads} heads, got "
            f"{matrix.shape[-1]} units"
        )
    parts = np.split(matrix.reshape(*matrix.shape[:-1], heads, -1), 3, axis=-1)
    return [part.reshape(*matrix.shape[:-1], -1) for part in parts]


def _rotary(layer, parts, rank: int) -> np.ndarray | None:
    """The pairs of units that are rotated, if the layer holds a rotary embedding and uses it."""
    kinds = {base.__name__ for part in parts.values() for base in type(part).__mro__}
    rule = next((pairs for name, pairs in _ROTATIONS.items() if name in kinds), None)
    if rule is None or not getattr(layer, "use_rope", True):
        return None
    turned = getattr(layer, "rotary_dim", rank)
    if type(layer).__name__ == "Gemma4TextAttention":  # the first units of each half
        return rule(rank)[: turned // 2]
    return rule(turned)  # GPT-NeoX, Qwen 3.5: the first units


def _normalises(part: keras.layers.Layer) -> bool:
    """Whether a sub-layer normalises queries or keys: ours by its class, others by their names."""
    if type(part).__name__ == "QueryKeyNormalization":
        return True
    return "norm" in part.name and part.name.startswith(("query", "key", "q_", "k_"))
