"""The rows of `head_rows` as a table for a terminal of any width."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from wdattn.spectra.head_rows import Row
from wdattn.weights import escaped

_PRODUCTS = {"key_query": "KQ", "value_output": "VO"}
_NAMES = ("head", "k", "k/d", "entr.", "stable", "largest", "ratio", "null", "bal.", "rows")
_OF_SPECTRA = 6  # so many columns come from the singular values alone, the others from factors
_GAPS = (3, 2, 1)  # blanks between columns: the widest that the terminal has room for

_CAPTION = """
KQ, VO: W_Kᵀ W_Q and P W_V
k: singular values that make up 95 % of their sum; k/d: over d_k
entr.: the smooth count, over d_k; stable: stable rank
largest: the largest singular value"""
_FACTORS = """
ratio: nuclear norm over ½(‖A‖² + ‖B‖²), 1 where decay has won
null: the ratio of Gaussian factors
bal.: ‖AᵀA − BᵀB‖ over the mean of their norms, 0 where decay has won
rows: correlation of the two factors' row norms"""
_MERGED = """
no factors: the layer trains the product itself, nothing to balance"""
_SHARED = """
Heads that share a key have ratio, bal. and rows in common."""
_ROTARY = """
Rotary embedding: bal. and rows of KQ are of pairs of units."""
_NORMED = """
Queries and keys are normalised: decay does not drive KQ to balance."""


class SpectraTable:
    """A line a head and product under the name of its layer, for rich's `Console.print`.

    It fits into 60 columns, unless numbers are very long; where it does not, a line is broken and
    nothing is cut. The last lines say how to read it.

    Args:
        rows: list of dict, of `rows_of`.
    """

    def __init__(self, rows: list[Row]):
        self.rows = rows

    @property
    def caption(self) -> str:
        """How to read the columns that these rows have."""
        merged = [row["merged"] for row in self.rows]
        parts = {
            _FACTORS: not all(merged),
            _MERGED: any(merged),
            _SHARED: any(row["group"] != row["head"] for row in self.rows),
            _ROTARY: any(row["rotary"] for row in self.rows),
            _NORMED: any(row["query_key_norm"] for row in self.rows),
        }
        return _CAPTION + "".join(text for text, holds in parts.items() if holds)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [tuple(_cells(row)) for row in self.rows]
        full = [_NAMES, *(cells for cells in lines if len(cells) == len(_NAMES))]
        widths = [
            max(len(cells[column]) for cells in (lines if column < _OF_SPECTRA else full))
            for column in range(len(_NAMES))
        ]
        widths = [max(pair) for pair in zip(widths, map(len, _NAMES), strict=True)]
        room = options.max_width - sum(widths)
        gap = next((gap for gap in _GAPS if gap * (len(widths) - 1) <= room), _GAPS[-1])
        yield _line(" " * gap, _NAMES, widths, "bold")
        index = None
        for row, cells in zip(self.rows, lines, strict=True):
            if row["index"] != index:
                index = row["index"]
                yield Text(f"{index}: {escaped(row['layer'])}", style="bold", overflow="fold")
            yield _line(" " * gap, cells, widths)
        yield Text(self.caption, style="italic")


def _line(gap: str, cells: tuple[str, ...], widths: list[int], style: str = "") -> Text:
    """The first cell on the left, the others on the right; the last takes all columns left."""
    rest = sum(widths[len(cells) - 1 :]) + len(gap) * (len(widths) - len(cells))
    first, *middle = zip(cells[:-1], widths, strict=False)
    parts = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in middle)]
    text = gap.join([*parts, cells[-1].rjust(rest)])
    return Text(text, style=style)


def _cells(row: Row) -> Iterator[str]:
    yield f"{_PRODUCTS[row['product']]} {row['head']}"
    yield f"{row['pseudo_rank']}"
    for name, digits in (("pseudo_rank_of_rank", 2), ("entropy_rank", 2), ("stable_rank", 1)):
        yield _number(row[name], digits)
    yield f"{row['singular_values'][0]:.2g}"
    if row["merged"]:
        yield "no factors"
        return
    for name, digits in (("nuclear_ratio", 3), ("null_nuclear_ratio", 3), ("balancedness", 2),
                         ("row_norm_correlation", 2)):  # fmt: skip
        yield _number(row[name], digits)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
