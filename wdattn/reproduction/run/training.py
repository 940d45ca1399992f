"""The one training loop: a stack of runs starts somewhere, takes its steps, and is watched."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from wdattn import backend
from wdattn.replicas import Replicas
from wdattn.reproduction.design.settings import Settings
from wdattn.reproduction.design.system import Measure, Snapshot, System
from wdattn.reproduction.design.watch import LOSS, SKIPPED
from wdattn.reproduction.run.cells import Cells, Columns

Watch = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Member:
    """A run of a stack, and the iterates at which each of its columns is measured."""

    settings: Settings
    watch: Watch


def train(
    members: Sequence[Member],
    system: System,
    measures: Mapping[str, Measure],
    *,
    resumed: Mapping[str, np.ndarray] | None = None,
    checkpoint: Callable[[dict[str, np.ndarray]], None] = lambda state: None,
    checkpoint_seconds: float = 5.0,
    advance: Callable[[int], None] = lambda steps: None,
) -> list[tuple[Columns, tuple[np.ndarray, ...]]]:
    """Trains the members side by side and measures what is watched.

    Args:
        members: runs that differ only in stackable fields.
        system: built for them.
        measures: column to measure.
        resumed: the state last given to `checkpoint`, to go on from there.
        checkpoint: called with the whole state now and then, and at the end.
        checkpoint_seconds: least time between two checkpoints. Where they fall does not change
            a result: a batch is a pure function of its step and the state is restored to the bit.
        advance: called with the number of steps taken since the last call.

    Returns:
        For each member its columns and last weights.
    """
    steps, cells, due = members[0].settings.steps, Cells(), _timetable(members)
    with backend.full_precision():
        runner = _start(system, [member.settings for member in members])
        if resumed is not None:
            runner.restore({k: v for k, v in resumed.items() if not k.startswith("cells/")})
            cells.restore(resumed)
            advance(runner.steps_taken)
        saved = time.monotonic()
        batches = _batches(system, [m.settings for m in members], runner.steps_taken, steps)
        for step, batch in batches:
            look = _Look(runner, due.get(step, ()))
            look.fill(cells, members, system, measures, step, losses=runner.step(*batch))
            advance(1)
            if time.monotonic() - saved >= checkpoint_seconds:
                checkpoint({**runner.state(), **cells.state()})
                saved = time.monotonic()
        _Look(runner, due.get(steps, ())).fill(cells, members, system, measures, steps)
        checkpoint({**runner.state(), **cells.state()})
        return [
            (cells.columns(run), tuple(runner.weights(run).values())) for run in range(len(members))
        ]


def _start(system, settings) -> Replicas:
    sources = _sources(settings)
    offered = {
        "learning_rate": [one.learning_rate for one in settings],
        "weight_decay": [one.weight_decay for one in settings],
        "clipnorm": [np.inf if one.clipnorm is None else one.clipnorm for one in settings],
    }
    return Replicas(
        system.model,
        system.loss,
        system.update,
        [system.start(one) for one in settings],
        knobs={name: values for name, values in offered.items() if name in system.update.knobs},
        batch_of=np.array([sources.index((one.seed, one.stream)) for one in settings]),
        skip_nonfinite=system.skip_nonfinite,
    )


def _sources(settings) -> list[tuple[int, int]]:
    """Runs with the same seed and stream share their batches: each is drawn once."""
    return list(dict.fromkeys((one.seed, one.stream) for one in settings))


def _batches(system, settings, first, steps) -> Iterator[tuple[int, tuple[np.ndarray, np.ndarray]]]:
    """Each step's batches, the next one being drawn while the last one is trained on."""
    by_source = {(one.seed, one.stream): one for one in settings}
    sources = [by_source[source] for source in _sources(settings)]

    def draw(step):
        pairs = [system.batch(one, step) for one in sources]
        return np.stack([x for x, _ in pairs]), np.stack([y for _, y in pairs])

    if first == steps:
        return
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(draw, first)
        for step in range(first, steps):
            batch = coming.result()
            if step + 1 < steps:
                coming = pool.submit(draw, step + 1)
            yield step, batch


def _timetable(members) -> dict[int, list[tuple[int, str]]]:
    """Iterate to the runs and columns that are measured there."""
    due: dict[int, list[tuple[int, str]]] = {}
    for run, member in enumerate(members):
        for column, times in member.watch.items():
            for step in times:
                if column == LOSS and step >= member.settings.steps:
                    raise ValueError(
                        f"no batch is drawn at iterate {step}, the last: watch {LOSS!r} before it"
                    )
                due.setdefault(step, []).append((run, column))
    return due


def _listed(runner, run):
    return list(runner.weights(run).values())


class _Look:
    """Measures what is due at one iterate; made before the step, used after it."""

    def __init__(self, runner, due):
        self.runner, self.due = runner, due
        looked_at = dict.fromkeys(run for run, column in due if column not in (LOSS, SKIPPED))
        self.weights = {run: _listed(runner, run) for run in looked_at}
        asked = any(column == SKIPPED for _, column in due)  # it waits for the steps before
        self.skipped = runner.skipped if asked else np.zeros(0)

    def fill(self, cells, members, system, measures, step, losses=None):
        for run, column in self.due:
            if column == LOSS:
                cells.add(run, column, step, np.asarray(losses)[run])
            elif column == SKIPPED:
                cells.add(run, column, step, self.skipped[run])
        for run, weights in self.weights.items():
            following = None if losses is None else partial(_listed, self.runner, run)
            snapshot = Snapshot(members[run].settings, system, step, weights, following)
            finite = all(np.isfinite(weight).all() for weight in weights)
            for other, column in self.due:
                if other == run and column not in (LOSS, SKIPPED):
                    # Weights may be finite where the loss no longer is: a cell, not a warning.
                    with np.errstate(all="ignore"):
                        value = measures[column](snapshot) if finite else np.nan
                    cells.add(run, column, step, value)
