"""Makes the runs that are missing: resolves references, stacks what can be stacked, resumes."""

import hashlib
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np

from wdattn.reproduction.cells import Cells
from wdattn.reproduction.effect import Record
from wdattn.reproduction.experiment import Arm, Experiment, Settings
from wdattn.reproduction.paper import Paper
from wdattn.reproduction.progress import Silent
from wdattn.reproduction.references import NoneFinite, look_up, resolve, trials
from wdattn.reproduction.store import Store

PRECISION = "float32"

Wanted = dict[Settings, set[str]]


@dataclass(frozen=True)
class Request:
    """An arm that somebody reads, on which seeds and in which column.

    Args:
        experiment: whose runs they are.
        arm: settings that differ from the experiment's; may hold references.
        seeds: one run each.
        column: what is measured.
    """

    experiment: Experiment
    arm: Arm
    seeds: tuple[int, ...]
    column: str


class Executor:
    """Turns requests into records of one paper at one scale.

    Args:
        paper: whose runs are made.
        scale: name of the scale.
        store: where records are kept; the caller holds it with `store.writing()`.
        progress: told of stacks and steps.
        checkpoint_seconds: least time between two checkpoints of a stack.
    """

    def __init__(
        self,
        paper: Paper,
        scale: str,
        store: Store,
        progress: Any = None,
        checkpoint_seconds: float = 5.0,
    ):
        # Here and not at the top: this loads Keras, and a backend can be chosen until then.
        from wdattn import backend

        self.paper, self.scale, self.store = paper, scale, store
        self.versions = backend.describe()
        self.backend = self.versions["backend"]
        self.progress = progress or Silent()
        self.checkpoint_seconds = checkpoint_seconds
        self.build = paper.build()
        self._known: dict[Settings, Record] = {}

    def find(self, settings: Settings) -> Record | None:
        """The record of that run under today's code and this backend, or None."""
        if settings not in self._known:
            record = self.store.get(self._id(settings))
            if record is not None:
                self._known[settings] = record
        return self._known.get(settings)

    def fulfil(self, requests: Sequence[Request]) -> None:
        """Makes every run and column that the requests need and the store lacks."""
        for experiment, wanted in self.searched(requests).items():
            self._make(experiment, wanted)
        for experiment, wanted in self.expand(requests).items():
            self._make(experiment, wanted)

    def expand(self, requests: Sequence[Request]) -> dict[str, Wanted]:
        """Experiment name to the runs and columns that the requests name, once each."""
        plan: dict[str, Wanted] = {}
        for request in requests:
            try:
                arm, _ = resolve(request.experiment, self.scale, request.arm, self.find)
            except NoneFinite:  # nothing to run; the judge says why
                continue
            wanted = plan.setdefault(request.experiment.name, defaultdict(set))
            for seed in request.seeds:
                settings = request.experiment.run(self.scale, arm, seed)
                wanted[settings].add(request.column)
        return plan

    def lacking(self, experiment: Experiment, wanted: Wanted) -> Wanted:
        """What of `wanted` the store does not hold, at the iterates that the experiment watches."""
        missing = {}
        for settings, columns in wanted.items():
            rest = {
                column
                for column in columns
                if look_up(self.find, experiment, self.scale, settings, (column,)) is None
            }
            if rest:
                missing[settings] = rest
        return missing

    def searched(self, requests: Sequence[Request]) -> dict[str, Wanted]:
        """Experiment name to the runs that references need before they can be resolved."""
        plan: dict[str, Wanted] = {}
        for request in requests:
            wanted = plan.setdefault(request.experiment.name, defaultdict(set))
            for settings, column in trials(request.experiment, self.scale, request.arm):
                wanted[settings].add(column)
        return plan

    def _make(self, name: str, wanted: Wanted) -> None:
        experiment = self.paper.experiments()[name]
        self._resume(experiment, wanted)
        self._replay(experiment, self.lacking(experiment, wanted))
        groups: dict[tuple, list[Settings]] = defaultdict(list)
        missing = self.lacking(experiment, wanted)
        for settings in missing:
            groups[settings.group()].append(settings)
        for members in groups.values():
            members.sort(key=self._id)
            ids = [self._id(member) for member in members]
            stack = hashlib.sha256("".join(ids).encode()).hexdigest()[:16]
            entries = [
                self._entry(member, experiment.watching(self.scale, member, missing[member]))
                for member in members
            ]
            self.store.begin(stack, {"experiment": name, "members": entries})
            self._run(stack, experiment, entries)

    def _resume(self, experiment, wanted):
        """Goes on with the stacks that a killed call left and this one needs, whole."""
        for stack, manifest in self.store.stacks().items():
            entries = manifest["members"]
            if manifest["experiment"] != experiment.name or not all(
                self._is_current(experiment, entry) for entry in entries
            ):
                continue
            members = [self._settings(entry) for entry in entries]
            if all(self.find(member) is not None for member in members):
                self.store.finish(stack)
            elif any(member in wanted for member in members):
                self._run(stack, experiment, entries)

    def _is_current(self, experiment, entry) -> bool:
        """Whether this call would make that run, and look at it at those iterates."""
        try:
            settings = self._settings(entry)
            watch = experiment.watching(self.scale, settings, entry["watch"])
        except (LookupError, TypeError, ValueError):  # of settings or columns that are no more
            return False
        return entry["id"] == self._id(settings) and entry["watch"] == watch

    def _run(self, stack, experiment, entries):
        started = time.monotonic()
        results = self._train(experiment, entries, self.store.resume(stack), stack)
        shared = {
            "experiment": experiment.name,
            "scale": self.scale,
            "stack": [{k: v for k, v in entry.items() if k != "watch"} for entry in entries],
            "seconds": round((time.monotonic() - started) / len(entries), 2),
            "build": self.build,
            "backend": self.backend,
            "precision": PRECISION,
            "versions": self.versions,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        for entry, (columns, weights) in zip(entries, results, strict=True):
            settings = self._settings(entry)
            if self.find(settings) is None:  # a killed call may have saved some of them
                record = Record(settings, columns, shared, weights)
                self.store.save(entry["id"], record)
        self.store.finish(stack)

    def _replay(self, experiment, missing: Wanted):
        """Trains finished stacks again for columns that nobody asked for then."""
        stacks: dict[str, tuple[list[dict], list[Settings]]] = {}
        for settings in missing:
            record = self.find(settings)
            if record is not None:
                stack = record.manifest["stack"]
                stacks.setdefault(str(stack), (stack, []))[1].append(settings)
        for stack, members in stacks.values():
            entries = [
                {**e, "watch": experiment.watching(self.scale, s, missing.get(s, ()))}
                for e in stack
                for s in [self._settings(e)]
            ]
            results = self._train(experiment, entries, None, None)
            for entry, (columns, weights) in zip(entries, results, strict=True):
                if self._settings(entry) in members:
                    self._merge(entry, columns, weights)

    def _merge(self, entry, columns, weights):
        """Adds replayed columns to a record, if the replay met its weights bit for bit."""
        settings = self._settings(entry)
        record = self._known.pop(settings)
        same = len(weights) == len(record.weights) and all(
            np.array_equal(new, old, equal_nan=True)
            for new, old in zip(weights, record.weights, strict=True)
        )
        if same:
            cells = Cells()
            cells.extend(0, record.columns)
            cells.extend(0, columns)
            self.store.save(entry["id"], replace(record, columns=cells.columns(0)))
        else:
            self.store.discard(entry["id"], "a replay did not meet its weights bit for bit")

    def _train(self, experiment, entries, resumed, stack):
        from wdattn.reproduction.training import Member, train

        members = [Member(self._settings(e), e["watch"]) for e in entries]
        first = members[0].settings
        label = f"{self.paper.key} {experiment.name}: {len(members)} runs"
        with self.progress.stack(label, first.steps) as advance:
            return train(
                members,
                self.paper.system(first),
                self.paper.measures(),
                resumed=resumed,
                checkpoint=partial(self.store.checkpoint, stack) if stack else lambda state: None,
                checkpoint_seconds=self.checkpoint_seconds,
                advance=advance,
            )

    def _entry(self, settings, watch):
        return {
            "id": self._id(settings),
            "settings": settings.packed(),
            "watch": watch,
        }

    @staticmethod
    def _settings(entry) -> Settings:
        return Settings.unpacked(entry["settings"])

    def _id(self, settings: Settings) -> str:
        return settings.run_id(self.build, self.backend, PRECISION)
