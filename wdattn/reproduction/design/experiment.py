"""What is run: experiments, their scales, and an experiment at one of them."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wdattn.arguments import integer, integer_or_none, integers, is_integer
from wdattn.reproduction.design.deviations import deviations
from wdattn.reproduction.design.settings import Settings
from wdattn.reproduction.design.watch import LOSS, When

Arm = Mapping[str, Any]


@dataclass(frozen=True)
class Scale:
    """How large an experiment is run.

    Args:
        seeds: int or tuple of int. The judged seeds; an int n stands for 0 ... n - 1.
        overrides: settings that differ from the experiment's.
        watch: columns whose times differ from the experiment's.
        looks: int >= 1 or None. The most iterates at which a column is measured. A column whose own
            times are more than these, or lie outside the run, is measured at this many iterates
            (or as many as its own times), which are spread evenly over the run. For short runs
            that only have to work.
    """

    seeds: int | tuple[int, ...]
    overrides: Arm = field(default_factory=dict)
    watch: Mapping[str, When] = field(default_factory=dict)
    looks: int | None = None

    def __post_init__(self):
        integer_or_none("looks", self.looks)
        if is_integer(self.seeds):
            integer("seeds", self.seeds)
        seeds = integers("seeds", self.seed_list())
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"`seeds` must be different ints >= 0, got {self.seeds}")

    def seed_list(self) -> tuple[int, ...]:
        """The judged seeds, written out."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else tuple(self.seeds)

    def times(self, when: When, steps: int) -> tuple[int, ...]:
        """The iterates that `when` names in a run of `steps` steps, no more than `looks`."""
        own = sorted(set(when(steps)))
        if self.looks is None or (len(own) <= self.looks and own[-1] <= steps):
            return tuple(own)
        spread = np.linspace(0, max(steps - 1, 0), min(self.looks, len(own)) + 1)[1:]
        return tuple(dict.fromkeys(int(step) for step in spread))


@dataclass(frozen=True)
class Experiment:
    """Runs that belong together: usually one figure or table of a paper.

    Settings are put together in the order defaults < experiment < scale < arm < seed.

    Args:
        name: what `--experiment` takes.
        settings: the paper's settings class.
        overrides: settings of this experiment.
        watch: column to when it is measured.
        scales: name ("smoke", "laptop", "paper" and others) to `Scale`.
        source: paper, then section, figure or table.
        expects: the paper's number or picture, in words.
        notes: scale to what differs there from the paper and is not a setting; what is one is said
            without it.
        cost: scale to seconds a run, measured with JAX on two laptop cores; for as long as there
            are no records.
    """

    name: str
    settings: type[Settings]
    overrides: Arm
    watch: Mapping[str, When]
    scales: Mapping[str, Scale]
    source: str = ""
    expects: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self):
        self.check_arm(self.overrides)
        for scale in self.scales.values():
            self.check_arm(scale.overrides)
            self.check_columns(scale.watch)
        for name in {**self.notes, **self.cost}:
            self.at(name)

    def vary(
        self,
        name: str,
        overrides: Arm,
        *,
        watch: Mapping[str, When] | None = None,
        source: str = "",
        expects: str = "",
        notes: Mapping[str, str] | None = None,
        cost: Mapping[str, float] | None = None,
        **scales: Scale | None,
    ) -> "Experiment":
        """Another experiment with the same settings class, that takes over what is not given.

        Args:
            name: of the new experiment.
            overrides: settings in addition to this experiment's.
            watch: in place of this experiment's.
            source: in place of this experiment's.
            expects: in place of this experiment's.
            notes: of the new experiment; none are taken over.
            cost: of the new experiment; none is taken over.
            **scales: in place of this experiment's of that name; None leaves the scale out.
        """
        given: dict[str, Scale | None] = {**self.scales, **scales}
        kept = {name: scale for name, scale in given.items() if scale is not None}
        return Experiment(
            name,
            self.settings,
            {**self.overrides, **overrides},
            self.watch if watch is None else watch,
            kept,
            source or self.source,
            expects or self.expects,
            notes or {},
            cost or {},
        )

    def at(self, scale: str) -> "AtScale":
        """The experiment at the scale of that name; a ValueError lists the known ones."""
        if scale not in self.scales:
            raise ValueError(
                f"`scale` must be one of {', '.join(self.scales)} for experiment {self.name!r}, "
                f"got {scale!r}"
            )
        return AtScale(self, scale)

    def check_arm(self, arm: Arm) -> None:
        """Raises a ValueError if `arm` sets the seed, or what the settings class does not have."""
        if "seed" in arm:
            raise ValueError(
                f"an arm of experiment {self.name!r} sets `seed`, but every arm is "
                "run on the judged seeds; another `stream` is another batch order"
            )
        known = {f.name for f in dataclasses.fields(self.settings)}
        unknown = sorted(set(arm) - known)
        if unknown:
            raise ValueError(
                f"experiment {self.name!r} has no setting {', '.join(unknown)}; "
                f"it has {', '.join(sorted(known))}"
            )

    def check_columns(self, columns: Iterable[str]) -> None:
        """Raises a ValueError if the experiment does not watch one of these columns."""
        unknown = sorted(set(columns) - set(self.watch))
        if unknown:
            raise ValueError(
                f"experiment {self.name!r} does not watch {', '.join(unknown)}; "
                f"it watches {', '.join(self.watch)}"
            )


@dataclass(frozen=True)
class AtScale:
    """An experiment at one of its scales: what gives settings to runs and times to columns.

    Args:
        experiment: what is run.
        name: of one of its scales.
    """

    experiment: Experiment
    name: str

    @property
    def scale(self) -> Scale:
        """How large it is run here."""
        return self.experiment.scales[self.name]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The judged seeds."""
        return self.scale.seed_list()

    def overrides(self, arm: Arm) -> dict[str, Any]:
        """What differs from the defaults of the settings class: experiment < scale < arm."""
        return {**self.experiment.overrides, **self.scale.overrides, **arm}

    def run(self, arm: Arm, seed: int) -> Settings:
        """The settings of one seed of an arm, filled; references stay as they are."""
        return self.experiment.settings(**{**self.overrides(arm), "seed": seed}).filled()

    def times(self, column: str, steps: int) -> tuple[int, ...]:
        """The iterates at which `column` is measured in a run of `steps` steps."""
        self.experiment.check_columns((column,))
        own = self.scale.watch.get(column)
        when = self.experiment.watch[column]
        times = tuple(sorted(set(own(steps)))) if own else self.scale.times(when, steps)
        if column == LOSS and steps:  # no batch is drawn at the last iterate
            times = tuple(step for step in times if step != steps)
        if not times or times[0] < 0 or times[-1] > steps:
            raise ValueError(
                f"experiment {self.experiment.name!r} at scale {self.name!r} watches {column!r} at "
                f"{times}, outside a run of {steps} steps"
            )
        return times

    def watching(self, run: Settings, columns: Iterable[str]) -> dict[str, list[int]]:
        """The iterates at which each of these columns is measured in that run."""
        return {name: list(self.times(name, run.steps)) for name in sorted(columns)}

    def deviations(self) -> str:
        """What differs here from the paper: settings and seeds, then the scale's note."""
        return deviations(self)

    def seconds(self, manifests: Iterable[Mapping[str, Any]] = ()) -> float:
        """What a run takes: the mean of the records made at this scale, else the stated cost.

        Args:
            manifests: of records of any experiment and scale.
        """
        taken = [
            manifest["seconds"]
            for manifest in manifests
            if (manifest["experiment"], manifest["scale"]) == (self.experiment.name, self.name)
        ]
        stated = self.experiment.cost.get(self.name, 0.0)
        return float(np.mean(taken)) if taken else stated
