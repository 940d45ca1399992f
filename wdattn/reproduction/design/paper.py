"""A paper: its claims, figures and tables, and where the parts that need Keras are found."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from wdattn.reproduction.design.claim import Claim
from wdattn.reproduction.design.experiment import Arm, Experiment
from wdattn.reproduction.design.settings import Settings
from wdattn.reproduction.run.digest import build_digest
from wdattn.reproduction.run.stacking import Size, size_of


@dataclass(frozen=True)
class Figure:
    """A picture drawn from records alone.

    Args:
        name: of the file.
        title: the figure or table of the paper that it stands for.
        experiment: whose runs it shows.
        arms: label to arm. Labels that begin alike up to " | " are one panel, which is drawn whole
            or not at all; labels without it are all of one panel.
        columns: what it reads of each arm.
        draw: `(records, note)` to a matplotlib Figure, where `records` is label to the records of
            that arm by seed, and `note` states scale, backend and seeds. It imports
            `wdattn.plots`, which loads matplotlib, when it is called.
        claim: the claim beside which the report puts it; "" for the paper as a whole.
        caption: one or two sentences: what to look at.
        also: ids of other claims that it shows: the report leads from them to it.
        across: draw it over backends instead: `records` is then backend to label to records.
        scales: where it is drawn; by default at each scale of its experiment.
        arms_at: scale to the arms that are drawn there in place of `arms`.
    """

    name: str
    title: str
    experiment: Experiment
    arms: Mapping[str, Arm]
    columns: tuple[str, ...]
    draw: Callable[[Mapping[str, Any], str], Any]
    claim: str = ""
    caption: str = ""
    also: tuple[str, ...] = ()
    across: bool = False
    scales: tuple[str, ...] = ()
    arms_at: Mapping[str, Mapping[str, Arm]] = field(default_factory=dict)

    def __post_init__(self):
        self.experiment.check_columns(self.columns)
        for scale in (*self.scales, *self.arms_at):
            self.experiment.at(scale)
        for arms in (self.arms, *self.arms_at.values()):
            for arm in arms.values():
                self.experiment.check_arm(arm)

    @staticmethod
    def panel(label: str) -> str:
        """What the labels of one panel have in common."""
        panel, bar, _ = label.partition(" | ")
        return panel if bar else ""

    def drawn_at(self, scale: str) -> bool:
        """Whether it is drawn at that scale."""
        return scale in (self.scales or self.experiment.scales)

    def shown(self, scale: str) -> Mapping[str, Arm]:
        """Label to arm of what is drawn at that scale."""
        return self.arms_at.get(scale, self.arms)


@dataclass(frozen=True)
class Table:
    """Settings of some arms, in the paper and at the other scales; made from the settings alone.

    Args:
        title: in bold above it.
        caption: what follows the title.
        rows: label to experiment and arm.
        settings: names of the columns.
    """

    title: str
    caption: str
    rows: Mapping[str, tuple[Experiment, Arm]]
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Paper:
    """A paper whose claims can be re-measured.

    Args:
        key: "ahn2024" and the like.
        title: of the paper.
        citation: authors, venue, year, identifier.
        claims: in the order of their numbers.
        headline: ids of the two to five claims that `wdattn reproduce` without a key re-measures.
        package: dotted name of the package with `system` and `measures`, which are imported when
            they are needed: they load Keras.
        figures: in the order in which a report shows them.
        studies: experiments that no claim reads; their figures belong to the paper as a whole.
        tables: of settings.
    """

    key: str
    title: str
    citation: str
    claims: tuple[Claim, ...]
    headline: tuple[str, ...]
    package: str
    figures: tuple[Figure, ...] = ()
    studies: tuple[Experiment, ...] = ()
    tables: tuple[Table, ...] = ()

    def __post_init__(self):
        ids = [claim.id for claim in self.claims]
        if len(set(ids)) < len(ids):
            raise ValueError(f"{self.key} has two claims of one name: {ids}")
        names = [figure.name for figure in self.figures]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.key} has two figures of one name: {names}")
        for name in (*self.headline, *self._named_by_figures()):
            self.claim(name)
        known = self.experiments()
        used = [claim.experiment for claim in self.claims]
        for experiment in (*used, *(figure.experiment for figure in self.figures)):
            if known.get(experiment.name) is not experiment:
                raise ValueError(
                    f"{self.key} has two experiments of one name, or a figure of one that is not "
                    f"among its studies: {experiment.name!r}"
                )

    def _named_by_figures(self) -> list[str]:
        return [name for f in self.figures for name in (f.claim, *f.also) if name]

    @classmethod
    def of_findings(
        cls,
        package: str,
        *,
        key: str,
        title: str,
        citation: str,
        headline: tuple[str, ...],
        tables: tuple[Table, ...] = (),
    ) -> "Paper":
        """The paper of a package whose folder `findings` has a module for each finding.

        A module gives its `CLAIMS`, and may give `FIGURES` and `STUDIES`, all tuples.

        Args:
            package: dotted name.
            key: of the paper.
            title: of the paper.
            citation: of the paper.
            headline: of the paper.
            tables: of the paper.
        """
        folder = importlib.import_module(f"{package}.findings")
        names = sorted(module.name for module in pkgutil.iter_modules(folder.__path__))
        modules = [importlib.import_module(f"{folder.__name__}.{name}") for name in names]
        return cls(
            key=key,
            title=title,
            citation=citation,
            claims=tuple(sorted(_all(modules, "CLAIMS"), key=lambda claim: claim.number)),
            headline=headline,
            package=package,
            figures=_all(modules, "FIGURES"),
            studies=_all(modules, "STUDIES"),
            tables=tables,
        )

    def bare(self) -> "Paper":
        """What trains and measures its runs: the paper without what reads them."""
        return replace(self, claims=(), headline=(), figures=(), studies=(), tables=())

    def claim(self, name: str) -> Claim:
        """The claim of that id; a ValueError lists the known ones."""
        for claim in self.claims:
            if claim.id == name:
                return claim
        known = ", ".join(claim.id for claim in self.claims)
        raise ValueError(f"`claim` must be one of {known} for {self.key}, got {name!r}")

    def experiments(self) -> dict[str, Experiment]:
        """Every experiment, by name: those that claims read, then the studies."""
        read = [claim.experiment for claim in self.claims]
        return {experiment.name: experiment for experiment in (*read, *self.studies)}

    def scales(self) -> tuple[str, ...]:
        """The names of the scales of its experiments."""
        named = [scale for experiment in self.experiments().values() for scale in experiment.scales]
        return tuple(dict.fromkeys(named))

    def choose(self, claim: str | None, experiment: str | None) -> tuple[Claim, ...]:
        """The claims of those names; all of them where neither is given."""
        if experiment is not None and experiment not in self.experiments():
            known = ", ".join(self.experiments())
            raise ValueError(
                f"`experiment` must be one of {known} for {self.key}, got {experiment!r}"
            )
        chosen = self.claims if claim is None else (self.claim(claim),)
        chosen = tuple(c for c in chosen if experiment in (None, c.experiment.name))
        if claim is not None and not chosen:
            read = self.claim(claim).experiment.name
            raise ValueError(f"claim {claim!r} of {self.key} reads {read!r}, not {experiment!r}")
        return chosen

    def roots(self, settings: Settings) -> tuple[str, ...]:
        """The modules that the numbers of runs like this one depend on, with what they import."""
        own = (settings.system_module, settings.measures_module)
        parts = (f"{self.package}.{name}" for name in own)
        return (type(settings).__module__, *parts, "wdattn.reproduction.run.training")

    def build(self, settings: Settings) -> str:
        """What the numbers of runs like this one depend on, besides settings and libraries.

        That is the code of their system and measures, and the data that they read from this
        machine, of which `Settings.data_digest` tells. Loads no Keras.
        """
        code, data = build_digest(self.roots(settings)), settings.data_digest()
        return f"{code}-{data[:12]}" if data else code

    def system(self, settings: Settings):
        """Model, loss, update rule, start and batches for runs like this one; loads Keras."""
        return self._part(settings.system_module).build(settings)

    def size(self, settings: Settings) -> Size:
        """What a run like this one keeps in memory; loads Keras.

        The system's module says so in a function `size` of the settings where its model is large or
        its data not at hand; else the system is built and a batch drawn.
        """
        own = getattr(self._part(settings.system_module), "size", None)
        return size_of(self.system(settings), settings) if own is None else own(settings)

    def measures(self, settings: Settings) -> Mapping[str, Callable]:
        """Column to measure, for runs like this one; loads Keras."""
        return self._part(settings.measures_module).MEASURES

    def _part(self, name: str) -> ModuleType:
        importlib.import_module("wdattn.backend")  # chooses the backend before the part loads Keras
        return importlib.import_module(f"{self.package}.{name}")


def _all(modules, name) -> tuple:
    return tuple(one for module in modules for one in getattr(module, name, ()))
