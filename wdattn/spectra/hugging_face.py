"""Attention layers in the names that Hugging Face gives to the tensors of well-known models."""

import re
import reprlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wdattn import arguments
from wdattn.spectra.attention_heads import AttentionHeads, bias_by_head, by_head, rotated_halves
from wdattn.weights import Safetensors, escaped, read_json


@dataclass(frozen=True)
class Heads:
    """How many heads ask, how many keys and values they share, and which part of them rotates."""

    queries: int
    groups: int
    rotated: float = 1.0


@dataclass(frozen=True)
class Naming:
    """Where a family of models keeps the matrices of one attention layer.

    Args:
        family: str, for messages.
        layer: regular expression of what the names of a layer's tensors begin with, its number
            being `index`.
        needs: what these names go on with; a layer has them all.
        read: from tensors, beginning of the names and heads to the layer.
    """

    family: str
    layer: str
    needs: tuple[str, ...]
    read: Callable[[Safetensors, str, Heads], AttentionHeads]


def _linear(tensors: Safetensors, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """`torch.nn.Linear` keeps (outputs, inputs): transposed, and the bias if there is one."""
    bias = tensors[f"{name}.bias"] if f"{name}.bias" in tensors else None
    return tensors[f"{name}.weight"].T, bias


def _separate(
    family: str, layer: str, needs: tuple[str, str, str, str], rotary: bool = False
) -> Naming:
    """A family with four linear layers: query, key, value and output."""

    def read(tensors: Safetensors, start: str, heads: Heads) -> AttentionHeads:
        query, key, value, output = (_linear(tensors, start + name) for name in needs)
        return AttentionHeads(
            name=start.rstrip("."),
            query=by_head(query[0], heads.queries, "query"),
            key=by_head(key[0], heads.groups, "key"),
            value=by_head(value[0], heads.groups, "value"),
            output=by_head(output[0].T, heads.queries, "output"),  # its bias is no head's
            query_bias=bias_by_head(query[1], heads.queries, "query"),
            key_bias=bias_by_head(key[1], heads.groups, "key"),
            value_bias=bias_by_head(value[1], heads.groups, "value"),
            rotary=_rotated(query[0].shape[1] // heads.queries, heads.rotated) if rotary else None,
            query_key_norm=f"{start}q_norm.weight" in tensors,
        )

    return Naming(family, layer, tuple(f"{name}.weight" for name in needs), read)


def _fused(tensors: Safetensors, start: str, heads: Heads) -> AttentionHeads:
    """GPT-2's `Conv1D`: (inputs, outputs), with query, key and value side by side."""
    query, key, value = _thirds(tensors, f"{start}c_attn.weight")
    name = f"{start}c_attn.bias"
    biases = _thirds(tensors, name) if name in tensors else [None] * 3
    return AttentionHeads(
        name=start.rstrip("."),
        query=by_head(query, heads.queries, "c_attn"),
        key=by_head(key, heads.queries, "c_attn"),
        value=by_head(value, heads.queries, "c_attn"),
        output=by_head(tensors[f"{start}c_proj.weight"].T, heads.queries, "c_proj"),
        query_bias=bias_by_head(biases[0], heads.queries, "c_attn"),
        key_bias=bias_by_head(biases[1], heads.queries, "c_attn"),
        value_bias=bias_by_head(biases[2], heads.queries, "c_attn"),
    )


def _thirds(tensors: Safetensors, name: str) -> list[np.ndarray]:
    """Query, key and value, side by side on the last axis."""
    shape = tensors.shape(name)
    if not shape or shape[-1] % 3:
        raise ValueError(f"{name!r} must have query, key and value side by side, got {shape}")
    return np.split(tensors[name], 3, axis=-1)


def _rotated(rank: int, part: float) -> np.ndarray:
    """The pairs of a rotary embedding that turns the first units alone."""
    turned = int(rank * part)
    if turned % 2:
        raise ValueError(
            f"`heads` must leave an even number of units to rotate, got {turned} of {rank} units"
        )
    return rotated_halves(turned)


NAMINGS = (
    Naming(
        "GPT-2",
        r"(.*\.)?h\.(?P<index>[0-9]{1,9})\.attn\.",
        ("c_attn.weight", "c_proj.weight"),
        _fused,
    ),
    _separate(
        "BERT",
        r"(.*\.)?layer\.(?P<index>[0-9]{1,9})\.attention\.",
        ("self.query", "self.key", "self.value", "output.dense"),
    ),
    _separate(
        "ViT",
        r"(.*\.)?layer\.(?P<index>[0-9]{1,9})\.attention\.",
        ("attention.query", "attention.key", "attention.value", "output.dense"),
    ),
    _separate(
        "LLaMA",
        r"(.*\.)?layers\.(?P<index>[0-9]{1,9})\.self_attn\.",
        ("q_proj", "k_proj", "v_proj", "o_proj"),
        rotary=True,
    ),
)


def hugging_face_layers(
    path: str | Path, heads: int | None = None, layer: int | None = None
) -> Iterator[AttentionHeads]:
    """The attention layers of a safetensors file in Hugging Face's naming, one at a time.

    GPT-2 (fused, transposed `Conv1D`), BERT, ViT and LLaMA, whose names Mistral and Qwen use too.
    No backend is loaded, and no more than one layer is in memory.

    Args:
        path: of a `.safetensors` file, or of the `.safetensors.index.json` of several.
        heads: int >= 1. Query heads of a layer, which no tensor tells; None to read them, and
            those of the keys, from the `config.json` in the folder of the file.
        layer: int >= 0. This layer alone, counted from 0; None for all.

    Yields:
        The layers in the model's order.

    Raises:
        ValueError: if the naming is none of these (the message has the tensors' names), the number
            of heads is not known or does not fit, or there is no such layer.
        OSError: if a file cannot be read.
    """
    path = arguments.path("path", path)
    heads = arguments.integer_or_none("heads", heads)
    layer = arguments.integer_or_none("layer", layer, least=0)
    tensors = Safetensors(path)
    layers = _layers(tensors)
    if layer is not None:
        if layer >= len(layers):
            raise ValueError(
                f"`layer` must be None or an int in 0 to {len(layers) - 1} for {path}, "
                f"got {layer!r}"
            )
        layers = layers[layer : layer + 1]
    config = _Config(tensors.path.parent / "config.json")
    for naming, start in layers:
        yield naming.read(tensors, start, _heads(tensors, start, config, heads))


def _layers(tensors: Safetensors) -> list[tuple[Naming, str]]:
    """Each layer's naming and the beginning of its names, in the model's order."""
    layers = []
    for naming in NAMINGS:
        for name in tensors:
            start = name.removesuffix(naming.needs[0])
            match = re.fullmatch(naming.layer, start) if start != name else None
            if match and all(start + part in tensors for part in naming.needs):
                layers.append((start[: match.start("index")], int(match["index"]), naming, start))
    if not layers:
        seen = _seen(tensors)
        known = ", ".join(naming.family for naming in NAMINGS)
        raise ValueError(f"{tensors.path} must name its tensors as one of {known}; it has {seen}")
    layers.sort(key=lambda entry: entry[:2])
    return [(naming, start) for _, _, naming, start in layers]


def _seen(tensors: Safetensors, most: int = 12) -> str:
    """The names, layers of one kind only once."""
    kinds: dict[str, str] = {}
    for name in tensors:
        kinds.setdefault(re.sub(r"\d+", "*", name), name)
    shown = [f"{escaped(name)} {list(tensors.shape(name))}" for name in list(kinds.values())[:most]]
    more = f" and {len(kinds) - most} more kinds" if len(kinds) > most else ""
    return f"{len(tensors)} tensors: {', '.join(shown)}{more}" if shown else "no tensor"


class _Config:
    """What the `config.json` beside the weights says, if there is one."""

    def __init__(self, path: Path):
        self.path = path
        config = read_json(path) if path.exists() else {}
        self._config = config if isinstance(config, dict) else {}

    def heads(self) -> int | None:
        for name in ("num_attention_heads", "n_head"):
            count = self._config.get(name)
            if count is not None:
                self._check(name, count, "an int >= 1", arguments.is_integer(count) and count >= 1)
                return count
        return None

    def rotated(self) -> float:
        part = self._config.get("partial_rotary_factor")
        if part is None:
            return 1.0
        fits = arguments.is_real(part) and 0 < part <= 1
        self._check("partial_rotary_factor", part, "a float in (0, 1]", fits)
        return part

    def _check(self, name: str, value: Any, allowed: str, fits: bool) -> None:
        if not fits:
            raise ValueError(
                f"{self.path} must give `{name}` as {allowed}, got {reprlib.repr(value)}"
            )


def _heads(tensors: Safetensors, start: str, config: _Config, asked: int | None) -> Heads:
    queries = asked or config.heads()
    if queries is None:
        raise ValueError(
            f"`heads` must be given for {tensors.path}: no tensor tells the number of heads, and "
            f"there is no config.json with `num_attention_heads` or `n_head` beside it"
        )
    if f"{start}k_proj.weight" not in tensors:
        return Heads(queries, queries)
    # A key is as wide as a query, so the two projections tell how many share one.
    shapes = [tensors.shape(f"{start}{name}_proj.weight") for name in "qk"]
    rows = [shape[0] if len(shape) == 2 else 0 for shape in shapes]
    if 0 in rows or (rows[1] * queries) % rows[0]:
        raise ValueError(f"`heads` must fit queries of {shapes[0]} and keys of {shapes[1]} in "
                         f"{start!r}, got {queries}")  # fmt: skip
    # StableLM rotates the first units alone.
    return Heads(queries, rows[1] * queries // rows[0], config.rotated())
