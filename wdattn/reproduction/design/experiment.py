"""What is run: frozen settings, and the experiments and scales that produce them."""

import contextlib
import dataclasses
import hashlib
import importlib
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

When = Callable[[int], tuple[int, ...]]
"""Takes a run's number of steps and returns the iterates to look at, each in 0 ... steps."""

Arm = Mapping[str, Any]


def at(*steps: int) -> When:
    """These iterates; iterate t is the one before step t, and iterate 0 is the start.

    Args:
        *steps: int >= 0, at least one.

    Raises:
        ValueError: if there is none, or one is negative.
    """
    if not steps or min(steps) < 0:
        raise ValueError(f"`steps` must be one or more ints >= 0, got {steps}")
    return lambda total: steps


def every(interval: int) -> When:
    """Every `interval`-th iterate from the start, and the last one.

    Args:
        interval: int >= 1.

    Raises:
        ValueError: if `interval` is below 1.
    """
    if interval < 1:
        raise ValueError(f"`interval` must be at least 1, got {interval}")
    return lambda total: (*range(0, total, interval), total)


def last(count: int) -> When:
    """The iterates before the last `count` steps (all of them if the run is shorter).

    Args:
        count: int >= 1.

    Raises:
        ValueError: if `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"`count` must be at least 1, got {count}")
    return lambda total: tuple(range(max(0, total - count), total))


def end(total: int) -> tuple[int, ...]:
    """The last iterate.

    Args:
        total: int >= 0, the run's number of steps.
    """
    return (total,)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that moves a weight or parametrises a measure: a filled object *is* a run.

    A paper subclasses it with its own values as defaults.

    Args:
        seed: int >= 0. Start and data; arms are paired by equal seeds.
        stream: int >= 0. Which of the independent batch orders of that seed.
        steps: int >= 0. Number of updates; 0 for a look at given weights.
        learning_rate: float or None. None is the paper's choice, filled in by `filled`.
        weight_decay: float >= 0. Weight decay.
        clipnorm: float or None. Norm to which the gradient is clipped; None is the paper's choice.

    Raises:
        ValueError: if a number is not in its range.
    """

    seed: int = 0
    stream: int = 0
    steps: int
    learning_rate: float | None = None
    weight_decay: float = 0.0
    clipnorm: float | None = None

    stackable: ClassVar[frozenset[str]] = frozenset(
        {"seed", "stream", "learning_rate", "weight_decay", "clipnorm"}
    )
    """The fields in which runs trained as one stack may differ."""

    def __post_init__(self):
        for name in ("seed", "stream", "steps"):
            self.require(name, "an int >= 0", lambda n: isinstance(n, int) and n >= 0)
        for name in ("learning_rate", "weight_decay"):
            self.require(
                name, "finite and >= 0", lambda v: v is None or _in(v, 0, sys.float_info.max)
            )
        self.require(
            "clipnorm", "> 0", lambda norm: norm is None or (_in(norm, 0, math.inf) and norm)
        )

    def require(self, name: str, allowed: str, fits: Callable[[Any], Any]) -> None:
        """Raises a ValueError that names the field, its value and what is allowed.

        A reference stands for a plain value that is not known yet, and passes.
        """
        value = getattr(self, name)
        if isinstance(value, int | float | str | None) and not fits(value):
            raise ValueError(f"`{name}` must be {allowed}, got {value!r}")

    def filled(self) -> "Settings":
        """The same run with the paper's choice in place of each None."""
        return self

    def values(self) -> dict[str, Any]:
        """Field names to plain values."""
        return dataclasses.asdict(self)

    def packed(self) -> dict[str, Any]:
        """Plain data from which `unpacked` makes an equal object."""
        return {"class": f"{type(self).__module__}:{type(self).__qualname__}", **self.values()}

    @staticmethod
    def unpacked(data: Mapping[str, Any]) -> "Settings":
        """The settings that gave `data`; a LookupError if their class is not a paper's.

        A record is a file that may come from elsewhere: it names a class, and only modules of
        `wdattn.papers` are imported for it (others must have been imported by the caller).
        """
        module, _, name = data["class"].partition(":")
        if module.startswith("wdattn.papers."):
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
        found = getattr(sys.modules.get(module), name, None)
        if not (isinstance(found, type) and issubclass(found, Settings)):
            raise LookupError(f"{data['class']} is not a settings class that is known here")
        return found(**{key: value for key, value in data.items() if key != "class"})

    def run_id(self, build: str, backend: str, precision: str = "float32") -> str:
        """Sixteen hexadecimal digits that name this run under that code, backend and precision."""
        return run_id_of(self.packed(), build, backend, precision)

    def group(self) -> tuple:
        """What runs must share to be trained as one stack."""
        shared = {k: v for k, v in self.values().items() if k not in self.stackable}
        return (type(self), *sorted(shared.items()))


def _in(value, low, high) -> bool:
    return isinstance(value, int | float) and low <= value <= high


def run_id_of(packed: Mapping[str, Any], build: str, backend: str, precision: str) -> str:
    """Sixteen hexadecimal digits for packed settings under that code, backend and precision."""
    # 5 and 5.0 are equal settings, so they are one run.
    values = {key: float(v) if type(v) is int else v for key, v in packed.items()}
    text = json.dumps([values, build, backend, precision], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Scale:
    """How large an experiment is run.

    Args:
        seeds: int or tuple of int. The judged seeds; an int n stands for 0 ... n - 1.
        overrides: settings that differ from the experiment's.
        watch: columns whose times differ from the experiment's.
    """

    seeds: int | tuple[int, ...]
    overrides: Arm = field(default_factory=dict)
    watch: Mapping[str, When] = field(default_factory=dict)

    def __post_init__(self):
        seeds = self.seed_list()
        if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
            raise ValueError(f"`seeds` must be one or more different ints >= 0, got {self.seeds}")

    def seed_list(self) -> tuple[int, ...]:
        """The judged seeds, written out."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else tuple(self.seeds)


@dataclass(frozen=True)
class Experiment:
    """Runs that belong together: usually one figure or table of a paper.

    Settings are put together in the order defaults < experiment < scale < arm < seed.

    Args:
        name: what `--experiment` takes.
        settings: the paper's settings class.
        overrides: settings of this experiment.
        watch: column to when it is measured.
        scales: name ("smoke", "laptop", "paper") to `Scale`.
        source: paper, then section, figure or table.
        expects: the paper's number or picture, in words.
        deviations: scale to what differs there from the paper.
        cost: scale to seconds a run, measured with JAX on two laptop cores.
    """

    name: str
    settings: type[Settings]
    overrides: Arm
    watch: Mapping[str, When]
    scales: Mapping[str, Scale]
    source: str = ""
    expects: str = ""
    deviations: Mapping[str, str] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self):
        self.check_arm(self.overrides)
        for scale in self.scales.values():
            self.check_arm(scale.overrides)
            unknown = set(scale.watch) - set(self.watch)
            if unknown:
                raise ValueError(
                    f"a scale of experiment {self.name!r} watches {unknown}, "
                    f"which the experiment does not; it watches {sorted(self.watch)}"
                )

    def check_arm(self, arm: Arm) -> None:
        """Raises a ValueError if `arm` sets the seed, or what the settings class does not have."""
        if "seed" in arm:
            raise ValueError(
                f"experiment {self.name!r} has an arm that sets `seed`: every arm is "
                "run on the judged seeds; another `stream` is another batch order"
            )
        known = {f.name for f in dataclasses.fields(self.settings)}
        unknown = sorted(set(arm) - known)
        if unknown:
            raise ValueError(
                f"experiment {self.name!r} has no setting {', '.join(unknown)}; "
                f"it has {', '.join(sorted(known))}"
            )

    def scale(self, name: str) -> Scale:
        """The scale of that name; a ValueError lists the known ones."""
        if name not in self.scales:
            raise ValueError(f"`scale` must be one of {', '.join(self.scales)}, got {name!r}")
        return self.scales[name]

    def run(self, scale: str, arm: Arm, seed: int) -> Settings:
        """The settings of one seed of one arm at that scale, filled."""
        overrides = {**self.overrides, **self.scale(scale).overrides, **arm, "seed": seed}
        return self.settings(**overrides).filled()

    def times(self, scale: str, column: str, steps: int) -> tuple[int, ...]:
        """The iterates at which `column` is measured in a run of `steps` steps."""
        watch = {**self.watch, **self.scale(scale).watch}
        if column not in watch:
            raise ValueError(
                f"experiment {self.name!r} does not watch {column!r}; it watches {', '.join(watch)}"
            )
        times = tuple(sorted(set(watch[column](steps))))
        if not times or times[0] < 0 or times[-1] > steps:
            raise ValueError(
                f"experiment {self.name!r} at scale {scale!r} watches {column!r} at "
                f"{times}, outside a run of {steps} steps"
            )
        return times

    def watching(self, scale: str, run: Settings, columns: Iterable[str]) -> dict[str, list[int]]:
        """The iterates at which each of these columns is measured in that run."""
        return {name: list(self.times(scale, name, run.steps)) for name in sorted(columns)}
