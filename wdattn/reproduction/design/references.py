"""Settings that stand for a value chosen or recorded elsewhere; resolved before a run is named."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wdattn.reproduction.design.effect import Record, Reduction, columns_of
from wdattn.reproduction.design.experiment import Arm, Experiment, Settings

Find = Callable[[Settings], Record | None]


class Unresolved(Exception):
    """A reference needs a run that has not been made."""


class NoneFinite(Exception):
    """No value of a grid gave a finite score."""


@dataclass(frozen=True)
class Best:
    """The grid value with the smallest mean of `by` over seeds that are not judged.

    Args:
        grid: at least two values, in order; or a function that gives them for a run.
        by: reduction to minimise; a value that is not finite ranks last.
        seeds: the seeds it is chosen on.
    """

    grid: tuple[Any, ...] | Callable[[Settings], tuple[Any, ...]]
    by: Reduction
    seeds: tuple[int, ...] = (10_000, 10_001, 10_002)

    def __post_init__(self):
        if not callable(self.grid) and len(self.grid) < 2:
            raise ValueError(f"`grid` must hold at least 2 values, got {self.grid}")
        if not self.seeds:
            raise ValueError("`seeds` must hold at least one seed")
        columns_of(self.by)

    def values(self, run: Settings) -> tuple[Any, ...]:
        """The grid of a run, whatever value the searched setting has in it."""
        return self.grid(run) if callable(self.grid) else self.grid

    def score(self, records: list[Record]) -> float:
        """Mean of `by`, infinite if any is not finite."""
        with np.errstate(all="ignore"):
            values = [self.by(record) for record in records]
        return float(np.mean(values)) if np.isfinite(values).all() else np.inf


@dataclass(frozen=True)
class Choice:
    """What a `Best` was resolved to.

    Args:
        setting: name of the searched setting.
        value: the grid value that was chosen.
        grid: the values it was chosen from.
        arm: the settings, besides the searched one, for which it was chosen.
    """

    setting: str
    value: Any
    grid: tuple[Any, ...]
    arm: Arm

    @property
    def at_an_end(self) -> bool:
        """Whether it is the first or the last value of the grid."""
        return self.value in (self.grid[0], self.grid[-1])


def look_up(
    find: Find, experiment: Experiment, scale: str, settings: Settings, columns: Iterable[str]
) -> Record | None:
    """The record of that run as the experiment watches these columns; None if it lacks a cell.

    A run may have been looked at for another experiment, or before its watch was changed.
    """
    record = find(settings)
    return record and record.watched(experiment.watching(scale, settings, columns))


def trials(experiment: Experiment, scale: str, arm: Arm) -> Iterator[tuple[Settings, str]]:
    """The runs and columns that the arm's reference needs before it can be resolved."""
    for name, best in _references(experiment, scale, arm).items():
        for value in _grid(experiment, scale, arm, best):
            for seed in best.seeds:
                for column in columns_of(best.by):
                    yield experiment.run(scale, {**arm, name: value}, seed), column


def resolve(experiment: Experiment, scale: str, arm: Arm, find: Find) -> tuple[Arm, list[Choice]]:
    """The arm with values in place of references, and each choice.

    Raises:
        Unresolved: if a run that it needs is missing.
        NoneFinite: if no grid value gave a finite score.
    """
    resolved, chosen = dict(arm), []
    for name, best in _references(experiment, scale, arm).items():
        grid = _grid(experiment, scale, arm, best)
        scores = [_score(experiment, scale, arm, name, best, value, find) for value in grid]
        if not np.isfinite(scores).any():
            raise NoneFinite(f"no {name} of {grid} gave a finite score in {experiment.name!r}")
        resolved[name] = grid[int(np.argmin(scores))]
        told = {key: value for key, value in arm.items() if key != name}
        chosen.append(Choice(name, resolved[name], tuple(grid), told))
    return resolved, chosen


def _references(experiment: Experiment, scale: str, arm: Arm) -> Mapping[str, Best]:
    """The references of an arm, or of the scale where the arm says nothing else."""
    values = {**experiment.overrides, **experiment.scale(scale).overrides, **arm}
    found = {name: value for name, value in values.items() if isinstance(value, Best)}
    if len(found) > 1:
        raise ValueError(f"an arm may search one setting, this one searches {sorted(found)}")
    return found


def _grid(experiment: Experiment, scale: str, arm: Arm, best: Best) -> tuple[Any, ...]:
    return best.values(experiment.run(scale, arm, best.seeds[0]))


def _score(experiment, scale, arm, name, best, value, find):
    records = []
    for seed in best.seeds:
        settings = experiment.run(scale, {**arm, name: value}, seed)
        record = look_up(find, experiment, scale, settings, columns_of(best.by))
        if record is None:
            raise Unresolved(f"{experiment.name}: {name} = {value}, seed {seed}")
        records.append(record)
    return best.score(records)
