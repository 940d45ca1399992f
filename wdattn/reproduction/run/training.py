"""The one training loop: a stack of runs starts somewhere, takes its steps, and is watched."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from wdattn.replicas import Replicas
from wdattn.reproduction.design.system import Measure, Snapshot, System, constant_knobs
from wdattn.reproduction.design.watch import LOSS, SKIPPED
from wdattn.reproduction.run.cells import Cells
from wdattn.reproduction.run.integrity import Misfit, digest
from wdattn.reproduction.run.member import Member, Trained

CHECKPOINT_SHARE = 0.02
"""Most of the time that goes into checkpoints, however long one takes."""

_KEPT = ""
"""Where a column is named: the weights, which are kept."""

State = dict[str, np.ndarray]
Weights = Mapping[str, np.ndarray]


def train(
    members: Sequence[Member],
    system: System,
    measures: Mapping[str, Measure],
    *,
    resumed: Mapping[str, np.ndarray] | None = None,
    checkpoint: Callable[[State], None] = lambda state: None,
    checkpoint_seconds: float = 5.0,
    keep: Callable[[int, int, Weights], str] = lambda run, step, weights: digest(weights),
    advance: Callable[[int], None] = lambda steps: None,
) -> list[Trained]:
    """Trains the members side by side and measures what is watched.

    Args:
        members: runs that differ only in stackable fields.
        system: built for them.
        measures: column to measure.
        resumed: the state last given to `checkpoint`, to go on from there.
        checkpoint: called with the whole state now and then, and at the end.
        checkpoint_seconds: least time between two checkpoints; longer where one takes long, and 0
            after every step. Where they fall does not change a result: a batch is a pure function
            of its step and the state is restored to the bit.
        keep: takes the place of a run, an iterate and its weights, which are to be kept, and gives
            their digest.
        advance: called with the number of steps taken since the last call.

    Returns:
        What came of each member.

    Raises:
        Misfit: if the stack cannot go on from `resumed`.
    """
    steps, watched = members[0].settings.steps, _Watched(members, system, measures, keep)
    runner = _runner(system, members)
    if resumed is not None:
        _restore(runner, watched, resumed, steps)
        advance(runner.steps_taken)
    saved, pause = time.monotonic(), checkpoint_seconds
    for step, x, y, knobs in _coming(system, members, runner.steps_taken, steps):
        look = watched.before(runner, step)
        look(runner.step(x, y, knobs))
        advance(1)
        if time.monotonic() - saved >= pause:
            begun = time.monotonic()
            checkpoint({**runner.state(), **watched.state()})
            saved = time.monotonic()
            if checkpoint_seconds:
                pause = max(checkpoint_seconds, (saved - begun) / CHECKPOINT_SHARE)
    watched.before(runner, steps)(None)
    checkpoint({**runner.state(), **watched.state()})
    return [watched.outcome(runner, run) for run in range(len(members))]


def _runner(system, members) -> Replicas:
    settings = [member.settings for member in members]
    sources = _sources(settings)
    return Replicas(
        system.model,
        system.loss,
        system.update,
        [_handed(system.start, member, member.settings) for member in members],
        knobs=_knobs(system, members, 0),
        batch_of=np.array([sources.index((one.seed, one.stream)) for one in settings]),
        skip_nonfinite=system.skip_nonfinite,
    )


def _restore(runner, watched, resumed, steps):
    try:
        runner.restore({k: v for k, v in resumed.items() if not watched.owns(k)})
        if not 0 <= runner.steps_taken <= steps:
            raise ValueError(f"{runner.steps_taken} of {steps} steps are taken")
        watched.restore(resumed, runner.steps_taken)
    except (LookupError, TypeError, ValueError) as error:
        raise Misfit(f"it does not fit the stack: {error}") from error


def _handed(function, member, *arguments):
    """A system without references need not know that there are any."""
    return function(*arguments, member.given) if member.given else function(*arguments)


def _knobs(system, members, step) -> dict[str, np.ndarray]:
    """Name to a value for each run."""
    turned = [_handed(system.knobs, member, member.settings, step) for member in members]
    # Those of the settings are offered whether or not the update has them.
    offered = system.knobs is constant_knobs and system.update.after is None
    names = [name for name in turned[0] if name in system.update.knobs or not offered]
    return {name: np.array([one[name] for one in turned]) for name in names}


def _sources(settings) -> list[tuple[int, int]]:
    """Runs with the same seed and stream share their batches: each is drawn once."""
    return list(dict.fromkeys((one.seed, one.stream) for one in settings))


def _coming(system, members, first, steps) -> Iterator[tuple[int, np.ndarray, np.ndarray, Any]]:
    """Each step's batches and knobs, the next ones being made while the last step is taken."""
    settings = [member.settings for member in members]
    by_source = {(one.seed, one.stream): one for one in settings}
    sources = [by_source[source] for source in _sources(settings)]
    standing = _knobs(system, members, 0)

    def draw(step):
        pairs = [system.batch(one, step) for one in sources]
        knobs = _knobs(system, members, step)
        same = all(np.array_equal(knobs[name], standing[name]) for name in standing)
        x, y = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
        return step, x, y, None if same else knobs

    if first == steps:
        return
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(draw, first)
        for step in range(first, steps):
            drawn = coming.result()
            if step + 1 < steps:
                coming = pool.submit(draw, step + 1)
            yield drawn


class _Watched:
    """The cells and kept weights of a stack so far, and what is due at which iterate."""

    def __init__(self, members, system, measures, keep):
        self._members, self._system, self._measures = members, system, measures
        self._keep, self._cells = keep, Cells()
        self._kept: dict[tuple[int, int], str] = {}
        self._due: dict[int, list[tuple[int, str]]] = {}
        for run, member in enumerate(members):
            for column, times in member.watch.items():
                for step in times:
                    if column == LOSS and step >= member.settings.steps:
                        raise ValueError(f"no batch is drawn at iterate {step}, the last: watch "
                                         f"{LOSS!r} before it")  # fmt: skip
                    self._due.setdefault(step, []).append((run, column))

    def before(self, runner, step) -> Callable[[Any], None]:
        """Looks at an iterate before the step from it; what is returned is called after it."""
        due = self._due.get(step, ())
        for run, member in enumerate(self._members):
            if step in member.keep:
                self._kept[run, step] = self._keep(run, step, runner.weights(run))
        measured = [(run, column) for run, column in due if column not in (LOSS, SKIPPED)]
        snapshots = {run: self._snapshot(runner, run, step) for run in dict(measured)}
        asked = any(column == SKIPPED for _, column in due)  # it waits for the steps before
        skipped = runner.skipped if asked else np.zeros(0)

        def look(losses):
            for run, column in due:
                if column == LOSS:
                    self._cells.add(run, column, step, np.asarray(losses)[run])
                elif column == SKIPPED:
                    self._cells.add(run, column, step, skipped[run])
            for run, column in measured:
                self._cells.add(run, column, step, self._measured(column, snapshots[run]))

        return look

    def _snapshot(self, runner, run, step):
        member, last = self._members[run], step == self._members[run].settings.steps
        return Snapshot(
            member.settings,
            self._system,
            step,
            runner.weights(run),
            None if last else lambda: runner.weights(run),
            runner.average(run) if self._system.update.average is not None else None,
        )

    def _measured(self, column, snapshot):
        if not all(np.isfinite(weight).all() for weight in snapshot.weights.values()):
            return np.nan
        # Weights may be finite where the loss no longer is: a cell, not a warning.
        with np.errstate(all="ignore"):
            return self._measures[column](snapshot)

    def outcome(self, runner, run) -> Trained:
        kept = {step: told for (of, step), told in self._kept.items() if of == run}
        return Trained(self._cells.columns(run), digest(runner.weights(run)), kept)

    def state(self) -> State:
        """Flat arrays from which `restore` makes the same cells again."""
        kept = {f"kept/{run}/{step}": np.array(told) for (run, step), told in self._kept.items()}
        return {**self._cells.state(), **kept}

    @staticmethod
    def owns(key: str) -> bool:
        """Whether `state` gave that array."""
        return key.startswith(("cells/", "kept/"))

    def restore(self, state, steps_taken) -> None:
        """Takes over what `state` gave after so many steps."""
        self._cells.restore(state)
        for key, told in state.items():
            if key.startswith("kept/"):
                _, run, step = key.split("/")
                self._kept[int(run), int(step)] = str(told)
        seen = {(run, column, step) for run, column, times in self._cells.iterates()
                for step in times} | {(run, _KEPT, step) for run, step in self._kept}  # fmt: skip
        due = {(run, column, step) for step, what in self._due.items() for run, column in what}
        due |= {(run, _KEPT, step) for run, one in enumerate(self._members) for step in one.keep}
        before = {one for one in due if one[-1] < steps_taken}
        # The last iterate is looked at once more, whether or not it was already.
        end = {one for one in due if one[-1] == steps_taken == self._members[0].settings.steps}
        if not before <= seen <= before | end:
            raise ValueError(f"its cells are not those of {steps_taken} steps")
