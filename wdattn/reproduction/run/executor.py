"""Makes the runs that are missing: resolves references, stacks what can be stacked, resumes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from wdattn.reproduction.design.paper import Paper
from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.settings import Settings
from wdattn.reproduction.run.member import Member, Trained
from wdattn.reproduction.run.progress import Progress
from wdattn.reproduction.run.stack import Outcome, Stack
from wdattn.reproduction.run.store import Store
from wdattn.reproduction.run.tasks import Task, Tasks
from wdattn.reproduction.run.wanted import Plan, Request, expand, starts, united
from wdattn.reproduction.run.workers import Workers, checked_jobs


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
        self._ids: dict[Settings, str] = {}

    def find(self, settings: Settings) -> Record | None:
        """The record of that run under today's code and this backend, or None."""
        return self.store.get(self._id(settings))

    def fulfil(self, requests: Sequence[Request]) -> None:
        """Makes every run and column that the requests need and the store lacks.

        What can be named is made, what needs it is named then, until nothing is left to make.
        """
        with Workers(self.jobs, self.versions, self.progress) as workers:
            tasks = self._tasks(workers.count)
            while self._make(self._plan(requests, tasks), tasks, workers):
                pass

    def outlook(self, requests: Sequence[Request]) -> tuple[Plan, Plan, dict[str, set[tuple]]]:
        """What the requests name or need now, what of it is missing, and what cannot be named yet.

        Args:
            requests: as for `fulfil`; nothing is made.
        """
        named, needed, waiting = expand(requests, self.scale, self.find)
        whole = united(needed, named)
        return whole, self._tasks(self.jobs or 1).lacking(whole), waiting

    def _tasks(self, jobs: int) -> Tasks:
        return Tasks(self.paper, self.scale, self.store, self.backend, jobs, self._id)

    def _plan(self, requests: Sequence[Request], tasks: Tasks) -> Plan:
        """All that can be made now, with the weights that the missing runs start from."""
        named, needed, _ = expand(requests, self.scale, self.find)
        plan = united(needed, named)
        while True:
            whole = united(plan, starts(tasks.lacking(plan), self.store.get))
            if whole == plan:
                return plan
            plan = whole

    def _make(self, plan: Plan, tasks: Tasks, workers: Workers) -> bool:
        """Makes what can be made now, and says whether there was anything."""
        made = self._train(tasks.resumed(tasks.lacking(plan)), tasks, workers)
        made |= self._train([*tasks.fresh(plan), *tasks.replays(plan)], tasks, workers)
        return made

    def _train(self, chosen: Iterator[Task] | list[Task], tasks: Tasks, workers: Workers) -> bool:
        """Trains the stacks, keeps what was measured, and says whether there were any."""
        chosen = list(chosen)
        begin = partial(self._begin, tasks)
        for task, outcome in workers.train(chosen, begin, self._seconds):
            for line in outcome.notes:
                self.progress.note(line)
            self._keep(task, outcome)
        return bool(chosen)

    def _seconds(self, task: Task) -> float:
        """What it takes, as the experiment says; 0 where it does not."""
        experiment = self.paper.experiments().get(task.manifest["experiment"])
        if experiment is None or self.scale not in experiment.scales:
            return 0.0
        return len(task.members) * experiment.at(self.scale).seconds()

    def _begin(self, tasks: Tasks, task: Task) -> Stack | None:
        """The stack of a task; None if the weights that a run starts from turn out to be broken."""
        given = []
        for settings in task.members:
            if (own := tasks.given(settings)) is None:
                return None
            given.append(own)
        if task.fresh:
            self.store.stacks.begin(task.manifest)
        return Stack(
            self.paper,
            f"{self.paper.key} {task.manifest['experiment']}: {len(task.members)} runs",
            [
                Member(settings, entry["watch"], entry["keep"], own)
                for settings, entry, own in zip(
                    task.members, task.manifest["members"], given, strict=True
                )
            ],
            task.manifest,
            self.store.folder,
            task.only is not None,
            self.checkpoint_seconds,
        )

    def _keep(self, task: Task, outcome: Outcome) -> None:
        pairs = list(zip(task.members, outcome.members, strict=True))
        if task.only is not None:
            for settings, trained in pairs:
                if settings in task.only and (record := self.find(settings)) is not None:
                    self._add(record, trained)
            return
        told = {k: v for k, v in task.manifest.items() if k != "members"}
        shared = {
            **told,
            "members": [{k: e[k] for k in ("id", "settings")} for e in task.manifest["members"]],
            "seconds": round(outcome.seconds / len(pairs), 2),
            "versions": self.versions,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        records = []
        for settings, trained in pairs:
            if self.find(settings) is None:
                own = {"id": self._id(settings), "weights": trained.weights, "kept": trained.kept}
                records.append(Record(settings, trained.columns, {**shared, **own}))
        if records:  # a killed call may have saved them
            self.store.add(records)
        self.store.stacks.finish(task.manifest["stack"])

    def _add(self, record: Record, trained: Trained) -> None:
        """Adds what a replay measured to a record, if it met the same weights bit for bit."""
        if trained.weights == record.manifest["weights"]:
            manifest = {**record.manifest, "kept": trained.kept}
            self.store.add([replace(record, columns=trained.columns, manifest=manifest)])
        else:
            self.store.discard(record.id, "a replay did not meet its weights bit for bit")

    def _id(self, settings: Settings) -> str:
        if settings not in self._ids:
            build = self.paper.build(settings)
            self._ids[settings] = settings.run_id(build, self.backend)
        return self._ids[settings]
