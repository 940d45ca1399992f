"""Processes that train stacks of runs side by side, each on its share of the cores."""

import contextlib
import multiprocessing
import operator
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import numpy as np

from wdattn import backend_choice
from wdattn.reproduction.run.progress import Progress
from wdattn.reproduction.run.stack import Outcome, Stack

WORTHWHILE = 30.0
"""Seconds of work for which workers are started unasked: they load a backend each, in 5 to 10 s."""

Task = TypeVar("Task")


class WorkerLost(RuntimeError):
    """A worker process ended before its stack did."""


class Workers:
    """Processes that train stacks side by side; started when needed, gone after the `with`.

    Each is pinned to its share of the cores, where the system can do that, before a backend
    loads, so that their threads do not get in each other's way. None outlives this process,
    however it ends.

    Args:
        jobs: how many, whatever the work; None takes one for each core up to four, and none on a
            GPU or for less than half a minute of work.
        versions: `wdattn.backend.describe()`: the workers take the same backend.
        progress: shows a bar for each stack.
    """

    def __init__(self, jobs: int | None, versions: Mapping[str, str], progress: Progress):
        self.asked, self.backend = jobs is not None, versions["backend"]
        most = min(len(_cores()), 4) if versions["device"] == "cpu" else 1  # a laptop's memory
        self.count, self.progress = jobs or most, progress
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._lifeline: tuple[Any, ...] = ()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error) -> None:
        for end in self._lifeline:
            end.close()  # they leave, whatever they are at
        for worker in self._workers:
            worker.pool.shutdown(cancel_futures=True)

    def train(
        self,
        tasks: Sequence[Task],
        begin: Callable[[Task], Stack | None],
        seconds: Callable[[Task], float],
    ) -> Iterator[tuple[Task, Outcome]]:
        """Trains a stack for each task; in this process where workers cannot, or do not pay.

        Args:
            tasks: what the stacks are known by.
            begin: gives a task's stack, or None to leave it out; called when its turn has come.
            seconds: about how long a task takes; the longest go first.

        Returns:
            Iterator over tasks and their outcomes, in the order in which they are done.

        Raises:
            WorkerLost: if a worker is killed. An error in a worker is raised as it is.
        """
        pays = self.asked or sum(map(seconds, tasks)) >= WORTHWHILE
        if self.count > 1 and len(tasks) > 1 and pays:
            longest_first = sorted(tasks, key=seconds, reverse=True)
            tasks = []
            for task, outcome in self._side_by_side(longest_first, begin):
                if outcome is None:
                    tasks.append(task)
                else:
                    yield task, outcome
        for task in tasks:
            if (stack := begin(task)) is None:
                continue
            with self._bar(stack) as advance:
                outcome = stack.train(advance)
            yield task, outcome

    def _side_by_side(self, tasks, begin):
        """Tasks and their outcomes; None where another process cannot have the stack."""
        waiting, idle = iter(tasks), self._all()
        running: dict[Future, tuple[Any, _Worker]] = {}
        with contextlib.ExitStack() as bars:
            while True:
                while idle and (task := next(waiting, None)) is not None:
                    if (stack := begin(task)) is None:
                        continue
                    if (data := stack.packed()) is None:
                        yield task, None
                    else:
                        worker = idle.pop(0)
                        bar = bars.enter_context(contextlib.ExitStack())
                        advance = bar.enter_context(self._bar(stack))
                        running[worker.begin(data, bar, advance)] = task, worker
                if not running:
                    return
                done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                for _, worker in running.values():
                    worker.report()
                for future in done:
                    task, worker = running.pop(future)
                    idle.append(worker)
                    yield task, worker.end(future)

    def _bar(self, stack):
        return self.progress.stack(stack.label, stack.steps)

    def _all(self) -> list["_Worker"]:
        if not self._workers:
            self._lifeline = self._context.Pipe(duplex=False)
            self._workers = [
                _Worker(self._context, (share, self.backend, self._lifeline[0]))
                for share in _shares(self.count)
            ]
        return list(self._workers)


class _Worker:
    """One process, which trains one stack at a time."""

    def __init__(self, context, settling):
        self.taken = context.RawValue("q", 0)
        self.pool = ProcessPoolExecutor(1, context, _settle, (*settling, self.taken))

    def begin(self, data, bar, advance) -> Future:
        self.bar, self.advance, self.told = bar, advance, 0
        self.taken.value = 0
        with _without_main(), _told_of_loss():
            return self.pool.submit(_train, data)

    def report(self) -> None:
        taken = self.taken.value
        self.advance(taken - self.told)
        self.told = taken

    def end(self, future) -> Outcome | None:
        with _told_of_loss(), self.bar:
            return future.result()


@contextlib.contextmanager
def _told_of_loss():
    try:
        yield
    except BrokenProcessPool as error:
        raise WorkerLost(
            "a worker process was killed, perhaps for want of memory, of which fewer `jobs` need "
            "less; the same call goes on from here"
        ) from error


@contextlib.contextmanager
def _without_main():
    """A process started meanwhile does not run the caller's script again, guard or no guard."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def checked_jobs(jobs: int | None) -> int | None:
    """That number of workers; a ValueError if it is none."""
    try:
        count = None if jobs is None else operator.index(jobs)
    except TypeError:
        count = 0
    if count is not None and count < 1:
        raise ValueError(f"`jobs` must be None or an int >= 1, got {jobs!r}")
    return count


def _cores() -> list[int]:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _shares(count: int) -> list[list[int]]:
    """The cores dealt out to that many workers; where there are fewer cores, some share one."""
    every = _cores()
    dealt = [list(map(int, share)) for share in np.array_split(every, min(count, len(every)))]
    return [dealt[worker % len(dealt)] for worker in range(count)]


# In a worker

_taken: Any = None


def _settle(share, backend, lifeline, taken) -> None:
    """Prepares a new worker; Keras is not loaded yet."""
    global _taken
    _taken = taken
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends the workers
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, share)
    backend_choice.use(backend)
    threading.Thread(target=_leave_with, args=(lifeline,), daemon=True).start()


def _leave_with(lifeline) -> None:
    """Ends this process when the parent closes its end, which a killed parent does too."""
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv()
    os._exit(1)


def _advance(steps: int) -> None:
    _taken.value += steps


def _train(data: bytes) -> Outcome | None:
    stack = Stack.unpacked(data)
    return None if stack is None else stack.train(_advance)
