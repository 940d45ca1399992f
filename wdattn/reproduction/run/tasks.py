"""Stacks to train: those that a killed call left, those that nobody began, those to replay."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from wdattn.reproduction.design.paper import Paper
from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.references import addresses
from wdattn.reproduction.design.settings import Settings
from wdattn.reproduction.design.watch import LOSS, SKIPPED
from wdattn.reproduction.run.stack_states import Manifest, stack_id
from wdattn.reproduction.run.stacking import stacks
from wdattn.reproduction.run.store import Store
from wdattn.reproduction.run.wanted import Plan, Wanted

RUNNER = "replicas"


@dataclass(frozen=True)
class Task:
    """A stack to train.

    Args:
        manifest: what it is, as the store has it.
        members: its runs, in order.
        fresh: whether the store has not seen it.
        only: for a replay, the runs whose new columns are kept; None otherwise.
    """

    manifest: Manifest
    members: tuple[Settings, ...]
    fresh: bool = False
    only: frozenset[Settings] | None = None


@dataclass(frozen=True)
class Tasks:
    """Finds what is to be trained.

    Args:
        paper: whose runs are made.
        scale: name of the scale.
        store: where they are kept.
        backend: on which they are made.
        jobs: stacks at a time.
        id_of: a run to its id under today's code and that backend.
    """

    paper: Paper
    scale: str
    store: Store
    backend: str
    jobs: int
    id_of: Callable[[Settings], str]

    def find(self, settings: Settings) -> Record | None:
        """The record of that run under today's code and this backend, or None."""
        return self.store.get(self.id_of(settings))

    def lacking(self, plan: Plan) -> Plan:
        """What of a plan the store does not hold."""
        rest = {}
        for settings, wanted in plan.items():
            run_id = self.id_of(settings)
            record = self.store.get(run_id)
            if record is not None and record.manifest["runner"] != RUNNER:
                continue  # it is not replayed
            missing = wanted.lacking(record, partial(self.store.weights.has, run_id))
            if missing is not None:
                rest[settings] = missing
        return rest

    def resumed(self, plan: Plan) -> Iterator[Task]:
        """Stacks that a killed call left and this one needs, whole."""
        for manifest in self.store.stacks.all():
            members = self._current(manifest)
            if any(member in plan for member in members) and all(map(self._ready, members)):
                yield Task(manifest, members)

    def fresh(self, plan: Plan) -> Iterator[Task]:
        """Stacks of the runs that nobody made yet."""
        by_experiment: dict[str, list[Settings]] = {}
        for settings, wanted in self.lacking(plan).items():
            if self.find(settings) is None and self._ready(settings):
                by_experiment.setdefault(wanted.experiment, []).append(settings)
        for name, runs in by_experiment.items():
            runs.sort(key=self.id_of)
            for members in stacks(runs, self.paper.size, self.backend, self.jobs):
                asked = [plan[member] for member in members]
                yield Task(self._manifest(name, members, asked), tuple(members), fresh=True)

    def replays(self, plan: Plan) -> Iterator[Task]:
        """Finished stacks once more, for columns and weights that nobody asked for then."""
        begun: dict[tuple[str, ...], tuple[Record, Plan]] = {}
        for settings, wanted in self.lacking(plan).items():
            if (record := self.find(settings)) is not None:
                ids = tuple(member["id"] for member in record.manifest["members"])
                begun.setdefault(ids, (record, {}))[1][settings] = wanted
        for record, rest in begun.values():
            told = record.manifest
            members = [Settings.unpacked(one["settings"]) for one in told["members"]]
            asked = [rest.get(member, Wanted(told["experiment"])) for member in members]
            manifest = self._manifest(told["experiment"], members, asked)
            yield Task(manifest, tuple(members), only=frozenset(rest))

    def given(self, settings: Settings) -> dict[str, Any] | None:
        """What the references of a run point to; None if something of it cannot be had."""
        given: dict[str, Any] = {}
        for name, address in addresses(settings).items():
            if (record := self.store.get(address.run_id)) is None:
                return None
            if address.step is None:
                given[name] = record.columns.get(address.column)
            else:
                digest = record.manifest["kept"].get(address.step, "")
                given[name] = self.store.weights.get(address.run_id, address.step, digest)
            if given[name] is None:
                return None
        return given

    def _ready(self, settings: Settings) -> bool:
        """Whether what it starts from is there; its contents are seen when it begins."""
        return all(
            self.store.get(address.run_id) is not None
            and (address.step is None or self.store.weights.has(address.run_id, address.step))
            for address in addresses(settings).values()
        )

    def _current(self, manifest: Mapping[str, Any]) -> tuple[Settings, ...]:
        """The members of a stack if this call would make them, else none."""
        members = []
        for entry in manifest["members"]:
            try:
                settings = Settings.unpacked(entry["settings"])
            except (LookupError, TypeError, ValueError):  # of settings that are no more
                return ()
            measured = {LOSS, SKIPPED, *self.paper.measures(settings)}
            if self.id_of(settings) != entry["id"] or not measured.issuperset(entry["watch"]):
                return ()
            members.append(settings)
        return tuple(members) if manifest["runner"] == RUNNER else ()

    def _manifest(self, experiment, members, wanted) -> Manifest:
        ids = [self.id_of(member) for member in members]
        return {
            "stack": stack_id(ids),
            "experiment": experiment,
            "scale": self.scale,
            "build": self.paper.build(members[0]),
            "backend": self.backend,
            "runner": RUNNER,
            "members": [
                {
                    "id": run_id,
                    "settings": member.packed(),
                    "watch": {name: sorted(times) for name, times in sorted(one.watch.items())},
                    "keep": sorted(one.keep),
                }
                for run_id, member, one in zip(ids, members, wanted, strict=True)
            ],
        }
