"""From records to one number a seed: effects combine the reductions of several arms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from wdattn.reproduction.design.experiment import Arm
from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.reductions import Reduction, columns_of
from wdattn.reproduction.judge.statistics import least_squares_slope


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

    def changed(self, change: Callable[[Arm], Arm]) -> "Effect":
        """The same effect on other arms."""
        return replace(self, arms=tuple(map(change, self.arms)))

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
