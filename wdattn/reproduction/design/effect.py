"""From a run's record to one number a seed: reductions, and effects that combine them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from wdattn.reproduction.design.experiment import Arm, Settings
from wdattn.reproduction.judge.statistics import least_squares_slope


@dataclass(frozen=True)
class Record:
    """What was measured in one run.

    Args:
        settings: the run.
        columns: name to `(steps, values)`, where `steps` is `(times,)` and `values` is
            `(times, ...)`.
        manifest: how it was made: run id, build, backend, versions, seconds.
        weights: the last iterate, in the order of the run's start.
    """

    settings: Settings
    columns: dict[str, tuple[np.ndarray, np.ndarray]]
    manifest: dict[str, Any] = field(default_factory=dict)
    weights: tuple[np.ndarray, ...] = ()

    def __getitem__(self, column: str) -> np.ndarray:
        return self._column(column)[1]

    def steps(self, column: str) -> np.ndarray:
        """The iterates at which `column` was measured."""
        return self._column(column)[0]

    def watched(self, watch: Mapping[str, Sequence[int]]) -> "Record | None":
        """The record with these iterates of these columns alone; None if it lacks one."""
        columns = {}
        for name, asked in watch.items():
            steps, values = self.columns.get(name, (np.array([], "int64"), np.array([])))
            kept = np.isin(steps, asked)
            if kept.sum() < len(asked):
                return None
            columns[name] = steps[kept], values[kept]
        return replace(self, columns=columns)

    def _column(self, column):
        if column not in self.columns:
            raise KeyError(
                f"no column {column!r} in the record of {self.settings}; "
                f"it has {', '.join(sorted(self.columns)) or 'none'}"
            )
        return self.columns[column]


Reduction = Callable[[Record], float]


def reads(*columns: str) -> Callable[[Reduction], Reduction]:
    """Says which columns a reduction looks at, so that only those are measured.

    Args:
        *columns: names of columns that the experiment watches.
    """

    def mark(reduction):
        reduction.columns = columns
        return reduction

    return mark


def columns_of(reduction: Reduction) -> tuple[str, ...]:
    """What `@reads` said of that reduction; a ValueError if it said nothing."""
    columns = getattr(reduction, "columns", None)
    if not columns:
        raise ValueError(f"reduction {reduction!r} does not say what it @reads")
    return columns


@dataclass(frozen=True)
class Effect:
    """One number a seed: `combine(reduction(arm 1), reduction(arm 2), ...)`.

    Args:
        reduction: record to number, marked with `@reads`.
        arms: the arms whose records it takes, paired by seed.
        combine: takes as many numbers as there are arms.
        unit: what the number is; "log ratio" is shown as a factor too.
    """

    reduction: Reduction
    arms: tuple[Arm, ...]
    combine: Callable[..., float]
    unit: str = "log ratio"

    def __post_init__(self):
        columns_of(self.reduction)
        if not self.arms:
            raise ValueError("`arms` must name at least one arm")

    def of(self, records: Sequence[Record]) -> float:
        """The effect of one seed; `records` in the order of `arms`."""
        with np.errstate(all="ignore"):
            return float(self.combine(*(self.reduction(record) for record in records)))


def single(reduction: Reduction, arm: Arm, unit: str = "log ratio") -> Effect:
    """The reduction itself, on one arm.

    Args:
        reduction: marked with `@reads`.
        arm: settings that differ from the experiment's.
        unit: of the number.
    """
    return Effect(reduction, (arm,), lambda value: value, unit)


def difference(reduction: Reduction, arm: Arm, *, minus: Arm, unit: str = "log ratio") -> Effect:
    """`reduction(arm) - reduction(minus)`.

    Args:
        reduction: marked with `@reads`.
        arm: the arm that is subtracted from.
        minus: the arm that is subtracted.
        unit: of the number; a difference of logs is a log ratio.
    """
    return Effect(reduction, (arm, minus), lambda first, second: first - second, unit)


def contrast(reduction: Reduction, *terms: tuple[float, Arm], unit: str = "log ratio") -> Effect:
    """Sum of coefficient times `reduction(arm)` over the `(coefficient, arm)` pairs.

    Args:
        reduction: marked with `@reads`.
        *terms: the pairs.
        unit: of the number.
    """
    coefficients = [coefficient for coefficient, _ in terms]
    return Effect(
        reduction,
        tuple(arm for _, arm in terms),
        lambda *values: float(np.dot(coefficients, values)),
        unit,
    )


def slope(reduction: Reduction, setting: str, arms: Sequence[Arm], unit: str = "slope") -> Effect:
    """Least-squares slope of `reduction(arm)` on the logarithm of the arms' value of `setting`.

    Args:
        reduction: marked with `@reads`.
        setting: name of a positive setting that each arm sets.
        arms: at least two.
        unit: of the number.
    """
    places = np.log([arm[setting] for arm in arms])
    return Effect(reduction, tuple(arms), lambda *values: least_squares_slope(places, values), unit)
