"""Makes the runs that are missing: resolves references, stacks what can be stacked, resumes."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from wdattn.reproduction.design.experiment import Arm, AtScale, Experiment
from wdattn.reproduction.design.paper import Paper
from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.references import NoneFinite, Unresolved, look_up, resolve
from wdattn.reproduction.design.settings import Settings
from wdattn.reproduction.run.cells import Cells
from wdattn.reproduction.run.progress import Progress
from wdattn.reproduction.run.stack import Outcome, Stack
from wdattn.reproduction.run.store import Store
from wdattn.reproduction.run.workers import Workers, checked_jobs

Wanted = dict[Settings, set[str]]
Plan = dict[str, Wanted]


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


@dataclass(frozen=True)
class _Task:
    """A stack to train, its runs as the store names them; `fresh`: the store has not seen it.

    One without a name is a replay, of which only the columns of the runs `only` are kept.
    """

    experiment: Experiment
    entries: list[dict[str, Any]]
    name: str | None = None
    fresh: bool = False
    only: frozenset[Settings] = frozenset()


class Executor:
    """Turns requests into records of one paper at one scale.

    Stacks that do not wait for each other are trained side by side by `jobs` worker processes,
    the longest first. A worker imports the paper's code by name; the runs of a paper that was made
    in a notebook or a script are made in this process, one stack after the other. On fewer cores
    a product may be summed in another order, so a record of another `jobs` is the same to
    round-off.

    Args:
        paper: whose runs are made.
        scale: name of the scale.
        store: where records are kept; the caller holds it with `store.writing()`.
        progress: told of stacks and steps.
        checkpoint_seconds: least time between two checkpoints of a stack.
        jobs: int >= 1 or None. How many stacks at a time; None takes one for each core up to four,
            and one alone on a GPU or for work of less than half a minute.

    Raises:
        ValueError: if `jobs` is below 1.
    """

    def __init__(
        self,
        paper: Paper,
        scale: str,
        store: Store,
        progress: Any = None,
        checkpoint_seconds: float = 5.0,
        jobs: int | None = 1,
    ):
        # Here and not at the top: this loads Keras, and a backend can be chosen until then.
        from wdattn import backend

        self.paper, self.scale, self.store = paper, scale, store
        self.versions = backend.describe()
        self.backend = self.versions["backend"]
        self.progress = progress or Progress()
        self.checkpoint_seconds = checkpoint_seconds
        self.jobs = checked_jobs(jobs)
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
        with Workers(self.jobs, self.versions, self.progress) as workers:
            made: Plan = {}
            while (plan := self.expand(requests)) != made:
                self._make(plan, workers)
                made = plan

    def expand(self, requests: Sequence[Request]) -> Plan:
        """Experiment name to the runs and columns that the requests name, once each.

        A run that waits for others stands for those.
        """
        plan: Plan = {}
        for request in requests:
            at_scale = request.experiment.at(self.scale)
            for seed in request.seeds:
                try:
                    settings = resolve(at_scale, request.arm, seed, self.find)
                except NoneFinite:  # nothing to run; the judge says why
                    continue
                except Unresolved as missing:
                    for need in missing.needs:
                        wanted = plan.setdefault(need.experiment.name, defaultdict(set))
                        wanted[need.settings].update(need.columns)
                    continue
                wanted = plan.setdefault(request.experiment.name, defaultdict(set))
                wanted[settings].add(request.column)
        return plan

    def lacking(self, experiment: Experiment, wanted: Wanted) -> Wanted:
        """What of `wanted` the store does not hold, at the iterates that the experiment watches."""
        missing = {}
        for settings, columns in wanted.items():
            rest = {
                column
                for column in columns
                if look_up(self.find, self._at(experiment), settings, (column,)) is None
            }
            if rest:
                missing[settings] = rest
        return missing

    def _at(self, experiment: Experiment) -> AtScale:
        return experiment.at(self.scale)

    def _make(self, plan: Plan, workers: Workers) -> None:
        self._train(self._resumed(plan), workers)
        for _ in plan:  # a run of several experiments is made for one, replayed for the next
            self._train(self._replays(plan), workers)
            if not self._train(self._fresh(plan), workers):
                return

    def _resumed(self, plan: Plan) -> Iterator[_Task]:
        """Stacks that a killed call left and this one needs, whole."""
        experiments = self.paper.experiments()
        for name, manifest in self.store.stacks().items():
            of, entries = manifest["experiment"], manifest["members"]
            if of not in plan or not all(self._is_current(experiments[of], e) for e in entries):
                continue
            members = list(map(self._settings, entries))
            if all(self.find(member) is not None for member in members):
                self.store.finish(name)
            elif any(member in plan[of] for member in members):
                yield _Task(experiments[of], entries, name)

    def _fresh(self, plan: Plan) -> Iterator[_Task]:
        """Stacks of the runs that nobody made yet."""
        begun: set[Settings] = set()
        for name, wanted in plan.items():
            experiment = self.paper.experiments()[name]
            groups: dict[tuple, list[Settings]] = defaultdict(list)
            missing = self.lacking(experiment, wanted)
            for settings in [s for s in missing if s not in begun]:
                groups[settings.group()].append(settings)
            begun |= missing.keys()
            for members in groups.values():
                members.sort(key=self._id)
                entries = [
                    {
                        "id": self._id(member),
                        "settings": member.packed(),
                        "watch": self._at(experiment).watching(member, missing[member]),
                    }
                    for member in members
                ]
                ids = "".join(map(self._id, members)).encode()
                stack = hashlib.sha256(ids).hexdigest()[:16]
                yield _Task(experiment, entries, stack, fresh=True)

    def _is_current(self, experiment, entry) -> bool:
        """Whether this call would make that run, and look at it at those iterates."""
        try:
            settings = self._settings(entry)
            watch = self._at(experiment).watching(settings, entry["watch"])
        except (LookupError, TypeError, ValueError):  # of settings or columns that are no more
            return False
        return entry["id"] == self._id(settings) and entry["watch"] == watch

    def _replays(self, plan: Plan) -> Iterator[_Task]:
        """Finished stacks once more, for columns that nobody asked for then."""
        for name, wanted in plan.items():
            experiment = self.paper.experiments()[name]
            missing = self.lacking(experiment, wanted)
            stacks: dict[str, tuple[list[dict], set[Settings]]] = {}
            for settings in missing:
                if (record := self.find(settings)) is not None:
                    stack = record.manifest["stack"]
                    stacks.setdefault(str(stack), (stack, set()))[1].add(settings)
            for stack, members in stacks.values():
                entries = [
                    {**e, "watch": self._at(experiment).watching(s, missing.get(s, ()))}
                    for e in stack
                    for s in [self._settings(e)]
                ]
                yield _Task(experiment, entries, only=frozenset(members))

    def _train(self, tasks: Iterator[_Task], workers: Workers) -> bool:
        """Trains the stacks, keeps what was measured, and says whether there were any."""
        chosen = list(tasks)
        for task, outcome in workers.train(chosen, self._begin, self._seconds):
            self._keep(task, outcome)
        return bool(chosen)

    def _seconds(self, task: _Task) -> float:
        """What it takes, as the experiment says; 0 where it does not."""
        return len(task.entries) * self._at(task.experiment).seconds()

    def _begin(self, task: _Task) -> Stack:
        name, entries = task.experiment.name, task.entries
        if task.fresh:
            self.store.begin(str(task.name), {"experiment": name, "members": entries})
        return Stack(
            self.paper,
            self.paper.build(self._settings(entries[0])),
            f"{self.paper.key} {name}: {len(entries)} runs",
            [(self._settings(entry), entry["watch"]) for entry in entries],
            self.store.resume(task.name) if task.name else None,
            self.store.folder,
            task.name,
            self.checkpoint_seconds,
        )

    def _keep(self, task: _Task, outcome: Outcome) -> None:
        results, seconds = outcome
        pairs = zip(task.entries, results, strict=True)
        if task.name is None:
            for entry, (columns, weights) in pairs:
                if self._settings(entry) in task.only:
                    self._merge(entry, columns, weights)
            return
        shared = {
            "experiment": task.experiment.name,
            "scale": self.scale,
            "stack": [{k: v for k, v in e.items() if k != "watch"} for e in task.entries],
            "seconds": round(seconds / len(results), 2),
            "build": self.paper.build(self._settings(task.entries[0])),
            "backend": self.backend,
            "versions": self.versions,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        for entry, (columns, weights) in pairs:
            settings = self._settings(entry)
            if self.find(settings) is None:  # a killed call may have saved some of them
                self.store.save(entry["id"], Record(settings, columns, shared, weights))
        self.store.finish(task.name)

    def _merge(self, entry, columns, weights):
        """Adds replayed columns to a record, if the replay met its weights bit for bit."""
        settings = self._settings(entry)
        if (record := self.find(settings)) is None:  # an earlier replay just discarded it
            return
        self._known.pop(settings)
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

    @staticmethod
    def _settings(entry) -> Settings:
        return Settings.unpacked(entry["settings"])

    def _id(self, settings: Settings) -> str:
        return settings.run_id(self.paper.build(settings), self.backend)
