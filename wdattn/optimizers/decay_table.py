"""Which variable decays, by which rule and how much: for the eye, and as records."""

import html
import math
from collections.abc import Iterable

from wdattn.optimizers.decay_row import DecayRow

__all__ = ["DecayTable"]

_HEADS = ("variable", "shape", "rule", "λ", "η", "removed a step")


class DecayTable(list[DecayRow]):
    """A list of `DecayRow`, one for each trained variable, which prints as a table.

    Args:
        rows: the rows.
        coupling: how the decay enters the step.
    """

    def __init__(self, rows: Iterable[DecayRow], coupling: str):
        super().__init__(rows)
        self.coupling = coupling

    @property
    def summary(self) -> str:
        """One line: how many variables and weights decay, at which step."""
        decayed = [row for row in self if row.removed > 0]
        step = self[0].step if self else 0
        return (
            f"{len(decayed)} of {len(self)} variables decay, {_weights(decayed):,} of "
            f"{_weights(self):,} weights; coupling {self.coupling}, step {step:,}"
        )

    def __repr__(self):
        cells = [_HEADS, *map(_cells, self)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if place < 3 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]
        rule = "  ".join("─" * width for width in widths)
        return "\n".join([lines[0], rule, *lines[1:], rule, self.summary])

    def _repr_html_(self):
        head = "".join(f"<th>{name}</th>" for name in _HEADS)
        body = ""
        for row in self:
            cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(row))
            dim = "" if row.removed else ' style="opacity: 0.6"'
            body += f"<tr{dim}>{cells}</tr>"
        return (
            f"<table><caption>{html.escape(self.summary)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )


def _weights(rows) -> int:
    return sum(math.prod(row.shape) for row in rows)


def _cells(row) -> tuple[str, ...]:
    shape = "×".join(map(str, row.shape)) or "scalar"
    numbers = [f"{value:.4g}" if value else "—" for value in (row.decay, row.rate, row.removed)]
    return row.path, shape, row.rule, *numbers
