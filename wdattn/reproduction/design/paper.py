"""A paper: its claims, and where the parts that need Keras or matplotlib are found on demand."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from wdattn.reproduction.design.claim import Claim
from wdattn.reproduction.design.experiment import Arm, Experiment, Settings
from wdattn.reproduction.run.digest import build_digest


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
            that arm by seed, and `note` states scale, backend and seeds.
        claim: the claim beside which the report puts it; "" for the paper as a whole.
        caption: one or two sentences: what to look at.
        also: ids of other claims that it shows: the report leads from them to it.
        across: draw it over backends instead: `records` is then backend to label to records.
        scales: where it is drawn; by default at each scale of its experiment.
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

    @staticmethod
    def panel(label: str) -> str:
        """What the labels of one panel have in common."""
        panel, bar, _ = label.partition(" | ")
        return panel if bar else ""

    def drawn_at(self, scale: str) -> bool:
        """Whether it is drawn at that scale."""
        return scale in (self.scales or self.experiment.scales)


@dataclass(frozen=True)
class Paper:
    """A paper whose claims can be re-measured.

    Args:
        key: "ahn2024" and the like.
        title: of the paper.
        citation: authors, venue, year, identifier.
        claims: in the order of their numbers.
        headline: ids of the two to five claims that `wdattn reproduce` without a key re-measures.
        package: dotted name of the package with `system`, `measures` and `figures`, which are
            imported when they are needed: they load Keras or matplotlib.
        studies: experiments that no claim reads; their figures belong to the paper as a whole.
    """

    key: str
    title: str
    citation: str
    claims: tuple[Claim, ...]
    headline: tuple[str, ...]
    package: str
    studies: tuple[Experiment, ...] = ()

    def __post_init__(self):
        ids = [claim.id for claim in self.claims]
        if len(set(ids)) < len(ids):
            raise ValueError(f"{self.key} has two claims of one name: {ids}")
        for name in self.headline:
            self.claim(name)
        for claim in self.claims:
            if claim.experiment != self.experiments()[claim.experiment.name]:
                name = claim.experiment.name
                raise ValueError(f"{self.key} has two experiments of one name: {name!r}")

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

    def build(self) -> str:
        """What a run's numbers depend on, besides its settings and the installed libraries."""
        own = [f"{self.package}.{part}" for part in ("settings", "system", "measures")]
        return build_digest((*own, "wdattn.reproduction.run.training"))

    def system(self, settings: Settings):
        """Model, loss, update rule, start and batches for runs like this one; loads Keras."""
        return self._part("system").build(settings)

    def measures(self) -> Mapping[str, Callable]:
        """Column to measure; loads Keras."""
        return self._part("measures").MEASURES

    def figures(self) -> Sequence[Figure]:
        """The figures; loads matplotlib."""
        return self._part("figures").FIGURES

    def _part(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self.package}.{name}")
