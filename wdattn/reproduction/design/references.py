"""Settings that stand for a value chosen or recorded elsewhere; resolved before a run is named."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from wdattn.arguments import integers, real
from wdattn.reproduction.design.experiment import Arm, AtScale, Experiment
from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.reductions import Reduction, columns_of
from wdattn.reproduction.design.settings import Settings

Find = Callable[[Settings], Record | None]


@dataclass(frozen=True)
class Need:
    """A run that has to be made before a reference can be resolved.

    Args:
        experiment: whose run it is.
        settings: the run.
        columns: what has to be measured in it, when the experiment watches it.
        keep: iterates whose weights have to be kept.
    """

    experiment: Experiment
    settings: Settings
    columns: tuple[str, ...] = ()
    keep: tuple[int, ...] = ()


class Unresolved(Exception):
    """A reference needs runs that have not been made: `needs` names them."""

    def __init__(self, needs: tuple[Need, ...]):
        self.needs = needs
        first = needs[0]
        more = f", and {len(needs) - 1} more" if len(needs) > 1 else ""
        super().__init__(f"{first.experiment.name}: {_told(first.settings)}{more}")


class NoneFinite(Exception):
    """No value of a grid gave a finite score."""


@dataclass(frozen=True)
class Address:
    """What a setting holds once a `From` or a `Follow` is resolved: a place in the store.

    Args:
        run_id: of the run that the weights or the column are taken from.
        step: the iterate whose weights are taken, or None.
        column: the column that is followed, or "".
    """

    run_id: str
    step: int | None = None
    column: str = ""

    def __str__(self) -> str:
        return f"{self.run_id}/{self.column}" if self.column else f"{self.run_id}@{self.step}"


def addresses(settings: Settings) -> dict[str, Address]:
    """The settings of a resolved run that name a place in the store."""
    return {
        name: address
        for name, value in settings.values().items()
        if isinstance(value, str) and (address := _address(value)) is not None
    }


def _address(text: str) -> Address | None:
    if weights := re.fullmatch(r"([0-9a-f]{16})@(\d+)", text):
        return Address(weights[1], step=int(weights[2]))
    if column := re.fullmatch(r"([0-9a-f]{16})/(.+)", text):
        return Address(column[1], column=column[2])
    return None


@dataclass(frozen=True)
class From:
    """The weights of another run, at a share of its steps; a setting holds "RUNID@STEP".

    It is the run of that arm with the same seed, at the same scale.

    Args:
        experiment: whose run it is.
        arm: settings that differ from that experiment's; may hold references too.
        share: float in [0, 1]. Where in the run: 0 is its start, 1 its end.
    """

    experiment: Experiment
    arm: Arm = field(default_factory=dict)
    share: float = 1.0

    def __post_init__(self):
        real("share", self.share, least=0, most=1)
        self.experiment.check_arm(self.arm)

    def resolved(self, scale: str, seed: int, find: Find) -> str:
        """The address of the weights; `Unresolved` if the run lacks them."""
        settings = resolve(self.experiment.at(scale), self.arm, seed, find)
        step, record = round(self.share * settings.steps), find(settings)
        if record is None or step not in record.kept:
            raise Unresolved((Need(self.experiment, settings, keep=(step,)),))
        return str(Address(record.id, step=step))


@dataclass(frozen=True)
class Follow:
    """A column that another run recorded; a setting holds "RUNID/COLUMN".

    It is the run of that arm with the same seed, at the same scale.

    Args:
        experiment: whose run it is.
        arm: settings that differ from that experiment's; may hold references too.
        column: one that the experiment watches.
    """

    experiment: Experiment
    arm: Arm
    column: str

    def __post_init__(self):
        self.experiment.check_arm(self.arm)
        self.experiment.check_columns((self.column,))

    def resolved(self, scale: str, seed: int, find: Find) -> str:
        """The address of the column; `Unresolved` if the run lacks it."""
        at_scale = self.experiment.at(scale)
        settings = resolve(at_scale, self.arm, seed, find)
        record = look_up(find, at_scale, settings, (self.column,))
        if record is None:
            raise Unresolved((Need(self.experiment, settings, columns=(self.column,)),))
        return str(Address(record.id, column=self.column))


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
        integers("seeds", self.seeds)
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
    find: Find, at_scale: AtScale, settings: Settings, columns: tuple[str, ...]
) -> Record | None:
    """The record of that run as the experiment watches these columns; None if it lacks a cell.

    A run may have been looked at for another experiment, or before its watch was changed.
    """
    record = find(settings)
    return record and record.watched(at_scale.watching(settings, columns))


def resolve(at_scale: AtScale, arm: Arm, seed: int, find: Find) -> Settings:
    """The run of one seed of an arm, with values in place of references.

    Args:
        at_scale: the experiment, at a scale.
        arm: settings that differ from the experiment's; may hold references.
        seed: of the run.
        find: settings to the record of that run, or None.

    Raises:
        Unresolved: if a reference needs runs that have not been made; it names them.
        NoneFinite: if no value of a grid gave a finite score.
    """
    values, needs = dict(arm), list[Need]()
    references = _references(at_scale, arm)
    for name, reference in references.items():
        try:
            if isinstance(reference, Best):
                if seed in reference.seeds:
                    raise ValueError(f"`seed` must not be one that {name} is chosen on, got {seed}")
                values[name] = _choice(at_scale, arm, name, reference, find).value
            else:
                values[name] = reference.resolved(at_scale.name, seed, find)
        except Unresolved as missing:
            needs += missing.needs
    if needs:
        raise Unresolved(tuple(needs))
    return at_scale.run(values, seed)


def choices(at_scale: AtScale, arm: Arm, find: Find) -> Iterator[Choice]:
    """What the searched settings of an arm were resolved to.

    Args:
        at_scale: as for `resolve`.
        arm: as for `resolve`.
        find: as for `resolve`.
    """
    for name, reference in _references(at_scale, arm).items():
        if isinstance(reference, Best):
            yield _choice(at_scale, arm, name, reference, find)


def _told(settings: Settings) -> str:
    """What of a run differs from the defaults of its class, and its seed."""
    defaults = {field.name: field.default for field in fields(settings)}
    own = {name: v for name, v in settings.values().items() if v != defaults[name]}
    return ", ".join(f"{name} {value}" for name, value in {**own, "seed": settings.seed}.items())


def _references(at_scale: AtScale, arm: Arm) -> Mapping[str, Best | From | Follow]:
    """The references of an arm, or of the scale where the arm says nothing else."""
    references = {
        name: value
        for name, value in at_scale.overrides(arm).items()
        if isinstance(value, Best | From | Follow)
    }
    searched = [name for name, value in references.items() if isinstance(value, Best)]
    if len(searched) > 1:
        raise ValueError(f"an arm may search one setting, this one searches {sorted(searched)}")
    return references


def _choice(at_scale: AtScale, arm: Arm, name: str, best: Best, find: Find) -> Choice:
    """The grid value with the smallest score; every run that is missing is asked for at once."""
    grid = best.values(at_scale.run(arm, best.seeds[0]))
    scores, needs = [], list[Need]()
    for value in grid:
        records = []
        for seed in best.seeds:
            try:
                settings = resolve(at_scale, {**arm, name: value}, seed, find)
            except Unresolved as missing:
                needs += missing.needs
                continue
            record = look_up(find, at_scale, settings, columns_of(best.by))
            if record is None:
                needs.append(Need(at_scale.experiment, settings, columns_of(best.by)))
            else:
                records.append(record)
        scores.append(np.inf if needs else best.score(records))
    if needs:
        raise Unresolved(tuple(needs))
    if not np.isfinite(scores).any():
        raise NoneFinite(f"no {name} of {grid} gave a finite score in {at_scale.experiment.name!r}")
    told = {key: value for key, value in arm.items() if key != name}
    return Choice(name, grid[int(np.argmin(scores))], grid, told)
