"""The rows of `head_rows` as text: a table to read, JSON and CSV to go on with."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from rich.table import Table
from rich.text import Text

from wdattn.spectra.attention_heads import AttentionHeads
from wdattn.spectra.head_rows import head_rows, null_of

Rows = list[dict[str, Any]]

_PRODUCTS = {"key_query": "W_Kᵀ W_Q", "value_output": "P W_V"}
_CAPTION = (
    "k: singular values that make up 95 % of their sum. entropy: the smooth count, over d_k. "
    "nuclear ratio: nuclear norm over ½(‖A‖² + ‖B‖²), 1 where decay has won; in brackets that of "
    "Gaussian factors. balance: ‖AᵀA − BᵀB‖ over the mean of their norms, 0 where decay has won. "
    "row norms: their correlation over hidden units."
)
_SHARED = " Heads that share a key have ratio, balance and row norms in common."
_ROTARY = " Rotary embedding: balance and row norms of key_query are of pairs of units."
_NORMED = " Queries and keys are normalised: decay does not drive key_query to balance."


def rows_of(layers: Iterable[AttentionHeads], biases: bool = False, first: int = 0) -> Rows:
    """The rows of `head_rows` of one layer after another, each with the layer's `index`.

    Args:
        layers: the layers' matrices, in the model's order; read once, so a generator will do.
        biases: bool. As for `head_rows`.
        first: int. The index of the first layer.

    Returns:
        list of dict.

    Raises:
        ValueError: as `head_rows`.
    """
    # By `map` and not by a loop, whose variable would hold one layer while the next is read.
    rows = map(partial(head_rows, biases=biases), layers)
    return [{"index": index, **row} for index, part in enumerate(rows, first) for row in part]


def panels(rows: Rows) -> tuple[dict, dict]:
    """What `wdattn.plots.spectra` draws: spectra by product and layer, and a null by product.

    Args:
        rows: of `rows_of`.

    Returns:
        dict from product to a dict from layer to its heads' singular values; dict from product to
        `(rank,)` float64, without the products whose layers differ in shape.
    """
    blocks: dict[str, dict[str, list[list[float]]]] = {}
    shapes: dict[str, set[tuple[int, int, int]]] = {}
    for row in rows:
        name, values = _PRODUCTS[row["product"]], row["singular_values"]
        blocks.setdefault(name, {}).setdefault(f"layer {row['index']}", []).append(values)
        shapes.setdefault(name, set()).add((row["left_rows"], row["right_rows"], len(values)))
    alike = {name: found.pop() for name, found in shapes.items() if len(found) == 1}
    return blocks, {name: null_of(*shape).singular_values for name, shape in alike.items()}


def as_json(rows: Rows) -> str:
    """A list of objects, one a line.

    Args:
        rows: of `rows_of`.

    Returns:
        str, a JSON list.
    """
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"


def as_csv(rows: Rows) -> str:
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
        writer.writerow(row | {"singular_values": " ".join(map(repr, row["singular_values"]))})
    return text.getvalue().rstrip("\n")


def as_table(rows: Rows) -> Table:
    """A line a head and product; the caption says how to read it.

    Args:
        rows: of `rows_of`.

    Returns:
        rich `Table`.
    """
    caption = _CAPTION
    caption += _SHARED if any(row["group"] != row["head"] for row in rows) else ""
    caption += _ROTARY if any(row["rotary"] for row in rows) else ""
    caption += _NORMED if any(row["query_key_norm"] for row in rows) else ""
    table = Table(caption=caption, caption_justify="left")
    table.add_column("layer", overflow="fold")
    table.add_column("product")
    for name in ("head", "k", "k/d_k", "entropy", "stable rank", "largest σ", "nuclear ratio",
                 "balance", "row norms"):  # fmt: skip
        table.add_column(name, justify="right")
    for before, row in zip([None, *rows], rows, strict=False):
        new = before is None or before["index"] != row["index"]
        table.add_row(Text(f"{row['index']}: {row['layer']}" if new else ""), *_cells(row))
    return table


def _cells(row) -> Iterator[str]:
    yield _PRODUCTS[row["product"]]
    yield f"{row['head']}"
    yield f"{row['pseudo_rank']}"
    for name, digits in (("pseudo_rank_of_rank", 2), ("entropy_rank", 2), ("stable_rank", 1)):
        yield _number(row[name], digits)
    yield f"{row['singular_values'][0]:.3g}"
    yield f"{_number(row['nuclear_ratio'], 3)} ({_number(row['null_nuclear_ratio'], 3)})"
    yield _number(row["balancedness"], 2)
    yield _number(row["row_norm_correlation"], 2)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
