"""The rows of `head_rows` as text: JSON and CSV to go on with, spectra to draw."""

import csv
import io
import json
from collections.abc import Iterable
from functools import partial

import numpy as np

from wdattn import arguments
from wdattn.spectra.attention_heads import AttentionHeads, MergedHeads
from wdattn.spectra.head_rows import Row, head_rows, null_of
from wdattn.weights import escaped

_PRODUCTS = {"key_query": "W_Kᵀ W_Q", "value_output": "P W_V"}


def rows_of(
    layers: Iterable[AttentionHeads | MergedHeads], biases: bool = False, first: int = 0
) -> list[Row]:
    """The rows of `head_rows` of one layer after another, each with the layer's `index`.

    Args:
        layers: the layers' matrices, in the model's order; read once, so a generator will do.
        biases: bool. As for `head_rows`.
        first: int >= 0. The index of the first layer.

    Returns:
        list of dict.

    Raises:
        ValueError: as `head_rows`.
    """
    biases, first = arguments.flag("biases", biases), arguments.integer("first", first, least=0)
    if not isinstance(layers, Iterable) or isinstance(layers, str | bytes | np.ndarray):
        raise ValueError(f"`layers` must be an iterable of layers' matrices, got {layers!r}")
    # By `map` and not by a loop, whose variable would hold one layer while the next is read.
    rows = map(partial(head_rows, biases=biases), layers)
    return [{"index": index, **row} for index, part in enumerate(rows, first) for row in part]


def panels(rows: list[Row]) -> tuple[dict, dict]:
    """What `wdattn.plots.spectra` draws: spectra by product and layer, and a null by product.

    Args:
        rows: of `rows_of`.

    Returns:
        dict from product to a dict from layer to its heads' singular values; dict from product to
        `(rank,)` float64, without the products that are merged or whose layers differ in shape.
    """
    blocks: dict[str, dict[str, list[list[float]]]] = {}
    shapes: dict[str, set[tuple[int, int, int] | None]] = {}
    for row in rows:
        name, values = _PRODUCTS[row["product"]], row["singular_values"]
        blocks.setdefault(name, {}).setdefault(f"layer {row['index']}", []).append(values)
        shape = None if row["merged"] else (row["left_rows"], row["right_rows"], len(values))
        shapes.setdefault(name, set()).add(shape)
    alike = {name: kinds.pop() for name, kinds in shapes.items() if len(kinds) == 1}
    nulls = {name: null_of(*shape) for name, shape in alike.items() if shape is not None}
    return blocks, {name: null.singular_values for name, null in nulls.items()}


def as_json(rows: list[Row]) -> str:
    """A list of objects, one a line.

    Args:
        rows: of `rows_of`.

    Returns:
        str, a JSON list.
    """
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"


def as_csv(rows: list[Row]) -> str:
    """A line of names, then one a row; singular values are separated by blanks.

    Args:
        rows: of `rows_of`.

    Returns:
        str, without the last newline.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values = " ".join(map(repr, row["singular_values"]))
        writer.writerow(row | {"layer": escaped(row["layer"]), "singular_values": values})
    return text.getvalue().rstrip("\n")
