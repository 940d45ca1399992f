"""Attention layers in the names that Hugging Face gives to the tensors of well-known models."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wdattn.spectra.attention_heads import AttentionHeads, rotated_halves
from wdattn.spectra.safetensors import Safetensors


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
        rank = query[0].shape[1] // heads.queries
        return AttentionHeads(
            name=start.rstrip("."),
            query=_columns(query[0], heads.queries, "query"),
            key=_columns(key[0], heads.groups, "key"),
            value=_columns(value[0], heads.groups, "value"),
            output=_columns(output[0].T, heads.queries, "output"),  # its bias is no head's
            query_bias=_by_head(query[1], heads.queries),
            key_bias=_by_head(key[1], heads.groups),
            value_bias=_by_head(value[1], heads.groups),
            rotary=rotated_halves(int(rank * heads.rotated)) if rotary else None,
            query_key_norm=f"{start}q_norm.weight" in tensors,
        )

    return Naming(family, layer, tuple(f"{name}.weight" for name in needs), read)


def _fused(tensors: Safetensors, start: str, heads: Heads) -> AttentionHeads:
    """GPT-2's `Conv1D`: (inputs, outputs), with query, key and value side by side."""
    query, key, value = np.split(tensors[f"{start}c_attn.weight"], 3, axis=1)
    name = f"{start}c_attn.bias"
    biases = np.split(tensors[name], 3) if name in tensors else [None] * 3
    return AttentionHeads(
        name=start.rstrip("."),
        query=_columns(query, heads.queries, "c_attn"),
        key=_columns(key, heads.queries, "c_attn"),
        value=_columns(value, heads.queries, "c_attn"),
        output=_columns(tensors[f"{start}c_proj.weight"].T, heads.queries, "c_proj"),
        query_bias=_by_head(biases[0], heads.queries),
        key_bias=_by_head(biases[1], heads.queries),
        value_bias=_by_head(biases[2], heads.queries),
    )


NAMINGS = (
    Naming(
        "GPT-2", r"(.*\.)?h\.(?P<index>\d+)\.attn\.", ("c_attn.weight", "c_proj.weight"), _fused
    ),
    _separate(
        "BERT",
        r"(.*\.)?layer\.(?P<index>\d+)\.attention\.",
        ("self.query", "self.key", "self.value", "output.dense"),
    ),
    _separate(
        "ViT",
        r"(.*\.)?layer\.(?P<index>\d+)\.attention\.",
        ("attention.query", "attention.key", "attention.value", "output.dense"),
    ),
    _separate(
        "LLaMA",
        r"(.*\.)?layers\.(?P<index>\d+)\.self_attn\.",
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
    tensors = Safetensors(path)
    found = _find(tensors)
    if layer is not None:
        if not 0 <= layer < len(found):
            raise ValueError(f"`layer` must be in 0 to {len(found) - 1} for {path}, got {layer}")
        found = found[layer : layer + 1]
    config = _config(tensors.path.parent)
    for naming, start in found:
        yield _fitting(naming.read(tensors, start, _heads(tensors, start, config, heads)))


def _find(tensors: Safetensors) -> list[tuple[Naming, str]]:
    """Each layer's naming and the beginning of its names, in the model's order."""
    found = []
    for naming in NAMINGS:
        for name in tensors:
            start = name.removesuffix(naming.needs[0])
            match = re.fullmatch(naming.layer, start) if start != name else None
            if match and all(start + part in tensors for part in naming.needs):
                found.append((start[: match.start("index")], int(match["index"]), naming, start))
    if not found:
        seen = _seen(tensors)
        known = ", ".join(naming.family for naming in NAMINGS)
        raise ValueError(f"{tensors.path} must name its tensors as one of {known}; it has {seen}")
    found.sort(key=lambda entry: entry[:2])
    return [(naming, start) for _, _, naming, start in found]


def _seen(tensors: Safetensors, most: int = 12) -> str:
    """The names, layers of one kind only once."""
    kinds: dict[str, str] = {}
    for name in tensors:
        kinds.setdefault(re.sub(r"\d+", "*", name), name)
    shown = [f"{name} {list(tensors.shape(name))}" for name in list(kinds.values())[:most]]
    more = f" and {len(kinds) - most} more kinds" if len(kinds) > most else ""
    return f"{len(tensors)} tensors: {', '.join(shown)}{more}" if shown else "no tensor"


def _config(folder: Path) -> dict:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _heads(tensors: Safetensors, start: str, config: dict, asked: int | None) -> Heads:
    queries = asked or config.get("num_attention_heads") or config.get("n_head")
    if not isinstance(queries, int) or queries < 1:
        raise ValueError(
            f"`heads` must be given for {tensors.path}: no tensor tells the number of heads, and "
            f"there is no config.json with `num_attention_heads` or `n_head` beside it"
        )
    if f"{start}k_proj.weight" not in tensors:
        return Heads(queries, queries)
    # A key is as wide as a query, so the two projections tell how many share one.
    rows = [tensors.shape(f"{start}{name}_proj.weight")[0] for name in "qk"]
    if (rows[1] * queries) % rows[0]:
        raise ValueError(f"`heads` must fit queries of {rows[0]} and keys of {rows[1]} units in "
                         f"{start}, got {queries}")  # fmt: skip
    part = config.get("partial_rotary_factor") or 1.0  # StableLM rotates the first units alone
    return Heads(queries, rows[1] * queries // rows[0], part)


def _columns(matrix: np.ndarray, heads: int, name: str) -> np.ndarray:
    """`(width, heads * rank)` as `(heads, width, rank)`."""
    if matrix.ndim != 2 or matrix.shape[1] % heads:
        raise ValueError(f"`heads` must divide the columns of {name}, {matrix.shape}, got {heads}")
    return matrix.reshape(matrix.shape[0], heads, -1).transpose(1, 0, 2)


def _by_head(bias: np.ndarray | None, heads: int) -> np.ndarray | None:
    return None if bias is None else bias.reshape(heads, -1)


def _fitting(factors: AttentionHeads) -> AttentionHeads:
    """The layer, if its matrices fit each other."""
    for name in ("key_query", "value_output"):
        shared, own = factors.product(name)
        if shared.shape[2] != own.shape[2] or len(own) % len(shared):
            raise ValueError(
                f"the factors of {name} in {factors.name} must fit {factors.heads} heads and "
                f"{factors.groups} keys, got {shared.shape} and {own.shape}"
            )
    return factors
