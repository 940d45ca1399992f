"""Settings that stand for a value chosen or recorded elsewhere; resolved before a run is named."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wdattn.reproduction.effect import Record, Reduction, columns_of
from wdattn.reproduction.experiment import Arm, Experiment, Settings

Find = Callable[[Settings], Record | None]


class Unresolved(Exception):
    """A reference needs a run that has not been made."""


class NoneFinite(Exception):
    """No value of a grid gave a finite score."""


@dataclass(frozen=True)
class Best:
    """The grid value with the smallest mean of `by` over seeds that are not judged.

    Args:
        grid: at least two values, in order.
        by: reduction to minimise; a value that is not finite ranks last.
        seeds: the seeds it is chosen on.
    """

    grid: tuple[Any, ...]
    by: Reduction
    seeds: tuple[int, ...] = (10_000, 10_001, 10_002)

    def __post_init__(self):
        if len(self.grid) < 2:
            raise ValueError(f"`grid` must hold at least 2 values, got {self.grid}")
        if not self.seeds:
            raise ValueError("`seeds` must hold at least one seed")
        columns_of(self.by)

    def score(self, records: list[Record]) -> float:
        """Mean of `by`, infinite if any is not finite."""
        with np.errstate(all="ignore"):
            values = [self.by(record) for record in records]
        return float(np.mean(values)) if np.isfinite(values).all() else np.inf


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
    for name, best in _references(arm).items():
        for value in best.grid:
            for seed in best.seeds:
                for column in columns_of(best.by):
                    yield experiment.run(scale, {**arm, name: value}, seed), column


def resolve(experiment: Experiment, scale: str, arm: Arm, find: Find) -> tuple[Arm, list[str]]:
    """The arm with values in place of references, and a line on each choice.

    Raises:
        Unresolved: if a run that it needs is missing.
        NoneFinite: if no grid value gave a finite score.
    """
    resolved, notes = dict(arm), []
    for name, best in _references(arm).items():
        scores = [_score(experiment, scale, arm, name, best, value, find) for value in best.grid]
        if not np.isfinite(scores).any():
            raise NoneFinite(f"no {name} of {best.grid} gave a finite score in {experiment.name!r}")
        place = int(np.argmin(scores))
        resolved[name] = best.grid[place]
        edge = ", at the end of the grid" if place in (0, len(best.grid) - 1) else ""
        notes.append(f"{name} = {best.grid[place]} of {best.grid}{edge}")
    return resolved, notes


def _references(arm: Arm) -> Mapping[str, Best]:
    found = {name: value for name, value in arm.items() if isinstance(value, Best)}
    if len(found) > 1:
        raise ValueError(f"an arm may search one setting, this one searches {sorted(found)}")
    return found


def _score(experiment, scale, arm, name, best, value, find):
    records = []
    for seed in best.seeds:
        settings = experiment.run(scale, {**arm, name: value}, seed)
        record = look_up(find, experiment, scale, settings, columns_of(best.by))
        if record is None:
            raise Unresolved(f"{experiment.name}: {name} = {value}, seed {seed}")
        records.append(record)
    return best.score(records)
