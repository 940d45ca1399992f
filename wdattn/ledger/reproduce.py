"""Re-measures claims: makes the runs that are missing, and judges."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from wdattn.ledger.drift import drift
from wdattn.ledger.judging import judged_row
from wdattn.ledger.ledger import Ledger
from wdattn.ledger.outlook import Outlook, outlooks
from wdattn.ledger.row import Row
from wdattn.ledger.seeds import checked_seeds
from wdattn.ledger.selection import Selection, judged_seeds
from wdattn.reproduction.run.executor import Executor
from wdattn.reproduction.run.progress import Progress
from wdattn.reproduction.run.store import Store
from wdattn.reproduction.run.workers import checked_jobs

Seeds = int | Iterable[int] | None


def reproduce(
    selections: Sequence[Selection],
    *,
    scale: str,
    seeds: Seeds,
    controls: bool,
    out,
    progress: Any,
    jobs: int | None,
) -> Ledger:
    """Makes the runs that are missing, judges the claims and returns the ledger.

    `wdattn.reproduce` documents the arguments and what is raised.

    Args:
        selections: what is asked for, one a paper.
        scale: name of the scale.
        seeds: the judged seeds, None for the scale's own.
        controls: whether the claims are measured without their mechanism as well.
        out: folder for records and ledger, made if needed.
        progress: told of stacks, steps and files that cannot be used; None is silent.
        jobs: processes that make runs at a time, or None.
    """
    chosen = check(selections, scale, seeds)
    checked_jobs(jobs)
    folder, rows = _writable(out), []
    progress = progress or Progress()
    for selection in selections:
        store = Store(folder / selection.paper.key, progress.note)
        executor = Executor(selection.paper, scale, store, progress, jobs=jobs)
        with store.writing():
            kept = _kept(store)  # before the runs: a broken file is told at once
            executor.fulfil(selection.requests(scale, chosen, controls))
            own = [_row(selection, claim, executor, scale, chosen) for claim in selection.claims]
            rows += own
            kept.merged(own).save(store.folder / LEDGER)
    for line in drift(rows):
        progress.note(line)
    return Ledger(rows)


LEDGER = "ledger.json"
"""Name of a paper's ledger in its folder."""


def plan(
    selections: Sequence[Selection], *, scale: str, seeds: Seeds, controls: bool, out
) -> list[Outlook]:
    """What `reproduce` would still have to run, and what that costs; nothing is written.

    Args:
        selections: as for `reproduce`.
        scale: as for `reproduce`.
        seeds: as for `reproduce`.
        controls: as for `reproduce`.
        out: as for `reproduce`.
    """
    chosen = check(selections, scale, seeds)
    costs: list[Outlook] = []
    for selection in selections:
        progress = Progress()
        store = Store(Path(out) / selection.paper.key, progress.note)
        executor = Executor(selection.paper, scale, store, progress, jobs=1)
        costs += outlooks(executor, selection.requests(scale, chosen, controls))
    return costs


def check(selections: Sequence[Selection], scale: str, seeds: Seeds) -> tuple[int, ...] | None:
    """The seeds as a tuple, None for each scale's own; loads no backend.

    Args:
        selections: as for `reproduce`.
        scale: as for `reproduce`.
        seeds: as for `reproduce`.

    Raises:
        ValueError: if a claim has no such scale, or the seeds are none.
    """
    for selection in selections:
        selection.check(scale)
    return None if seeds is None else checked_seeds(seeds)


def _row(selection: Selection, claim, executor: Executor, scale: str, seeds) -> Row:
    return judged_row(
        selection.paper,
        claim,
        executor.find,
        scale=scale,
        seeds=judged_seeds(claim.experiment, scale, seeds),
        backend=executor.backend,
    )


def _kept(store: Store) -> Ledger:
    """The rows of earlier calls; a file that holds anything else is set aside, whole."""
    path = store.folder / LEDGER
    wrong: list[str] = []
    try:
        ledger = Ledger.load(path, wrong.append)
    except ValueError as error:
        ledger, wrong = Ledger(), [str(error)]
    if wrong:
        store.set_aside(path, wrong[0])
    return ledger


def _writable(out) -> Path:
    """The folder, made if needed; a ValueError says why it cannot be written."""
    try:
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except (OSError, TypeError, ValueError) as error:  # a file, a number, a null byte
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"`out` must be a folder that can be written, got {out}: {why}") from None
    return folder
