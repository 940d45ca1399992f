"""Which variable decays, by which rule and how much: for the eye, and as records."""

import html
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["DecayRow", "DecayTable", "decay_rows"]

_HEADS = ("variable", "shape", "rule", "λ", "η", "removed a step", "τ in steps")
_NUMBERS = 4


@dataclass(frozen=True)
class DecayRow:
    """What an optimizer does to one variable at one step.

    Args:
        path: of the variable.
        shape: of the variable.
        rule: the pattern that decides, or what does in an optimizer without rules.
        decay: float >= 0. λ of this variable, its rule's multiplier included.
        rate: float >= 0. η of this variable, its rule's multiplier included.
        removed: float in [0, 1]. Share of the weight that the decay removes in this step; under
            the coupling `"l2"` the share that gradient descent without momentum would remove.
        step: int >= 0. Steps taken before this one.
        timescale: float > 0. Steps τ in which a weight without gradients falls to 1/e at the peak
            of the rate, 1/(η_peak λ), and 1/λ under `"independent"`; infinity where nothing decays.
        trained: whether the optimizer moves it; the other numbers are 0 if not.
    """

    path: str
    shape: tuple[int, ...]
    rule: str
    decay: float
    rate: float
    removed: float
    step: int
    timescale: float = math.inf
    trained: bool = True


class DecayTable(list[DecayRow]):
    """A list of `DecayRow`, one for each variable, which prints as a table.

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
        trained = [row for row in self if row.trained]
        decayed, still = [row for row in trained if row.removed > 0], len(self) - len(trained)
        step = self[0].step if self else 0
        return (
            f"{len(decayed)} of {len(trained)} variables decay, {_weights(decayed):,} of "
            f"{_weights(trained):,} weights{f', {still} not trained' if still else ''}; coupling "
            f"{self.coupling}, step {step:,}"
        )

    def __repr__(self):
        cells = [_HEADS, *map(_cells, self)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        words = len(_HEADS) - _NUMBERS
        lines = [
            "  ".join(
                cell.ljust(width) if place < words else cell.rjust(width)
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


def decay_rows(
    model,
    rules: Iterable[tuple],
    preset: str | None,
    numbers: Callable[[float, float], tuple[float, float]],
    removed: Callable[[float, float], float],
    at_peak: Callable[[float, float], float],
    step: int,
) -> list[DecayRow]:
    """The rows of a model: what is trained, and then what is not.

    Args:
        model: built model.
        rules: of each trainable variable.
        preset: name of the rules, if they have one.
        numbers: decay and rate multiplier to λ and η.
        removed: the multipliers to the share that this step removes.
        at_peak: the multipliers to the share that a step at the peak of the rate removes.
        step: steps taken before.
    """
    rows = [
        DecayRow(
            variable.path,
            tuple(variable.shape),
            preset or pattern,
            *numbers(by_decay, by_rate),
            removed(by_decay, by_rate),
            step,
            1 / share if (share := at_peak(by_decay, by_rate)) else math.inf,
        )
        for variable, (pattern, by_decay, by_rate) in zip(
            model.trainable_variables, rules, strict=True
        )
    ]
    return rows + [
        DecayRow(v.path, tuple(v.shape), "not trained", 0.0, 0.0, 0.0, step, trained=False)
        for v in model.non_trainable_variables
        if v.name != "seed_generator_state"
    ]


def _weights(rows) -> int:
    return sum(math.prod(row.shape) for row in rows)


def _cells(row) -> tuple[str, ...]:
    shape = "×".join(map(str, row.shape)) or "scalar"
    numbers = [f"{value:.4g}" if value else "—" for value in (row.decay, row.rate, row.removed)]
    tau = "—" if math.isinf(row.timescale) else f"{row.timescale:.4g}"
    return row.path, shape, row.rule, *numbers, tau
