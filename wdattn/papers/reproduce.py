"""Re-measures claims: what `wdattn.reproduce` and the command call."""

import operator
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

from wdattn.ledger.ledger import Ledger, row
from wdattn.papers.lookup import KEYS, lookup
from wdattn.reproduction.design.claim import Claim
from wdattn.reproduction.design.experiment import Arm
from wdattn.reproduction.design.paper import Figure, Paper
from wdattn.reproduction.run.costs import costs as outlook
from wdattn.reproduction.run.executor import Executor
from wdattn.reproduction.run.progress import Progress
from wdattn.reproduction.run.store import Store
from wdattn.reproduction.run.wanted import Request
from wdattn.reproduction.run.workers import checked_jobs


def reproduce(
    key: str | None = None,
    *,
    scale: str = "laptop",
    experiment: str | None = None,
    claim: str | None = None,
    seeds: int | Iterable[int] | None = None,
    controls: bool = False,
    out="results",
    progress=None,
    jobs: int | None = None,
) -> Ledger:
    """Makes the runs that are missing, judges the claims and returns the ledger.

    Runs on the Keras backend in use. Interrupt it anywhere: the next call continues, and gives the
    same ledger. Finished runs are read from `out`, so a second call takes seconds.

    Runs that do not wait for each other are made by `jobs` processes at a time, each on its share
    of the cores. How many there are moves a run's numbers by round-off at most.

    Args:
        key: a paper ("ahn2024"), whose claims are all re-measured; None for the headline claims of
            every paper.
        scale: "smoke" (does it run?), "laptop" (minutes) or "paper" (the paper's own settings).
        experiment: only the claims that read this experiment; needs `key`.
        claim: only this claim ("C6"); needs `key`.
        seeds: n for seeds 0 ... n - 1, or the seeds themselves (`range(100, 106)`), in place of
            the scale's; None keeps those.
        controls: also make the runs without each claim's mechanism and judge them.
        out: folder for records and ledger, made if needed.
        progress: `wdattn.reproduction.Live()` for bars in the terminal; silent by default.
        jobs: int >= 1; 1 makes all runs in this process. None takes one for each core up to four
            on a CPU, and 1 on a GPU and for less than half a minute of work. A process takes 0.5
            to 1 GB of memory.

    Returns:
        The rows of this call; `out/<key>/ledger.json` keeps those of earlier ones too.

    Raises:
        ValueError: if a name is unknown (the known ones are listed), `seeds` is empty, `jobs` is
            below 1, or `out` cannot be written.
        StoreBusy: if another process writes to `out/<key>`.
        WorkerLost: if one of the processes is killed; the next call continues.
    """
    check(key, scale=scale, experiment=experiment, claim=claim, seeds=seeds)
    checked_jobs(jobs)
    folder, rows = _writable(out), []
    for paper, claims, studies in select(key, experiment, claim):
        job = _job(paper, claims, studies, scale, seeds, folder, progress, jobs)
        path = job.store.folder / "ledger.json"
        with job.store.writing():
            kept = Ledger.load(path)  # before the runs: a broken file is told at once
            job.executor.fulfil(job.requests(controls))
            rows += (entries := job.rows())
            kept.merged(entries).save(path)
    return Ledger(rows)


def plan(
    key: str | None = None,
    *,
    scale: str = "laptop",
    experiment: str | None = None,
    claim: str | None = None,
    seeds: int | Iterable[int] | None = None,
    controls: bool = False,
    out="results",
) -> list[dict]:
    """What `reproduce` with these arguments would still have to run, and what that costs.

    Args:
        key: as for `reproduce`.
        scale: as for `reproduce`.
        experiment: as for `reproduce`.
        claim: as for `reproduce`.
        seeds: as for `reproduce`.
        controls: as for `reproduce`.
        out: as for `reproduce`; nothing is written.

    Returns:
        A dict for each experiment: `paper`, `experiment`, `runs` and how many of them are
        `stored`, `steps` of the longest run, `parameters` of the largest model, `seconds` (an
        estimate from two laptop cores with JAX and one job) and `megabytes` (parameters, gradients,
        optimizer state and batches of the largest stack). Where settings are searched and not
        chosen yet, `searched` is true and a run may be counted once for the search and once for
        its outcome.
    """
    check(key, scale=scale, experiment=experiment, claim=claim, seeds=seeds)
    costs = []
    for paper, claims, studies in select(key, experiment, claim):
        job = _job(paper, claims, studies, scale, seeds, Path(out))
        costs += [
            {"paper": paper.key, **cost} for cost in outlook(job.executor, job.requests(controls))
        ]
    return costs


def check(key=None, *, scale="laptop", experiment=None, claim=None, seeds=None) -> None:
    """Raises the ValueError that `reproduce` would raise for these names; loads no backend.

    Args:
        key: as for `reproduce`.
        scale: as for `reproduce`.
        experiment: as for `reproduce`.
        claim: as for `reproduce`.
        seeds: as for `reproduce`.
    """
    seed_list(seeds)
    for paper, claims, _ in select(key, experiment, claim):
        if experiment is not None:
            paper.experiments()[experiment].at(scale)
        for chosen in claims:
            chosen.experiment.at(scale)


def select(key, experiment, claim) -> list[tuple[Paper, tuple[Claim, ...], tuple[str, ...]]]:
    """Papers, the claims of each that the names mean, and the studies whose figures they mean."""
    if key is not None:
        paper = lookup(key)
        studies = tuple(study.name for study in paper.studies if experiment in (None, study.name))
        return [(paper, paper.choose(claim, experiment), () if claim else studies)]
    for name, value in (("experiment", experiment), ("claim", claim)):
        if value is not None:
            raise ValueError(f"`{name}` {value!r} needs a `key`, one of {', '.join(KEYS)}")
    papers = [lookup(known) for known in KEYS]
    return [(paper, tuple(map(paper.claim, paper.headline)), ()) for paper in papers]


def seed_list(seeds) -> tuple[int, ...] | None:
    """Seeds as a tuple; an int n stands for 0 ... n - 1. A ValueError if there is none."""
    if seeds is None:
        return None
    try:
        chosen = tuple(map(operator.index, range(seeds) if isinstance(seeds, Integral) else seeds))
    except TypeError:
        chosen = ()
    if not chosen or min(chosen) < 0 or len(set(chosen)) < len(chosen):
        raise ValueError(f"`seeds` must be an int >= 1 or different ints >= 0, got {seeds!r}")
    return chosen


def drawn(
    paper: Paper, claims: Sequence[Claim], studies: Sequence[str], scale: str
) -> list[Figure]:
    """The paper's figures at that scale that belong to those claims or show those studies."""
    ids = {claim.id for claim in claims}
    return [
        figure
        for figure in paper.figures
        if figure.drawn_at(scale) and (figure.claim in ids or figure.experiment.name in studies)
    ]


@dataclass(frozen=True)
class _Job:
    """The claims of one paper, at one scale, on some seeds."""

    paper: Paper
    claims: tuple[Claim, ...]
    studies: tuple[str, ...]
    scale: str
    seeds: tuple[int, ...] | None
    store: Store
    executor: Executor

    def judged(self, experiment) -> tuple[int, ...]:
        own = experiment.at(self.scale).seeds
        return own if self.seeds is None else self.seeds

    def requests(self, controls: bool) -> list[Request]:
        wanted = []
        for claim in self.claims:
            seeds = self.judged(claim.experiment)
            for removed in (False, True)[: 1 + controls]:
                wanted += [
                    Request(claim.experiment, arm, seeds, column)
                    for arm, column in claim.reading(removed)
                ]
        for figure in drawn(self.paper, self.claims, self.studies, self.scale):
            seeds = self.judged(figure.experiment)
            wanted += [
                Request(figure.experiment, arm, seeds, column)
                for arm in figure.shown(self.scale).values()
                for column in figure.columns
                if self.is_meant(figure, arm)
            ]
        return wanted

    def is_meant(self, figure: Figure, arm: Arm) -> bool:
        """Whether one of these claims reads the figure's arm, or no claim of the paper does."""
        experiment = figure.experiment
        at_scale = experiment.at(self.scale)
        run = at_scale.run(arm, 0)

        def is_read(claims):
            own = [claim for claim in claims if claim.experiment == experiment]
            arms = [read for claim in own for read in claim.arms()]
            return any(at_scale.run(read, 0) == run for read in arms)

        return is_read(self.claims) or not is_read(self.paper.claims)

    def rows(self) -> list[dict]:
        return [
            row(
                self.paper,
                claim,
                self.executor.find,
                scale=self.scale,
                seeds=self.judged(claim.experiment),
                backend=self.executor.backend,
                versions=self.executor.versions,
            )
            for claim in self.claims
        ]


def _job(paper, claims, studies, scale, seeds, folder, progress=None, jobs=1) -> _Job:
    progress = progress or Progress()
    store = Store(folder / paper.key, progress.note)
    executor = Executor(paper, scale, store, progress, jobs=jobs)
    return _Job(paper, claims, studies, scale, seed_list(seeds), store, executor)


def _writable(out) -> Path:
    """The folder, made if needed; a ValueError says why it cannot be written."""
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"`out` must be a folder that can be written, got {out}: {error.strerror}"
                         ) from None  # fmt: skip
    return folder
