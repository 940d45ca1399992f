"""Papers by key, re-measured and reported: what the command and `wdattn.reproduce` call."""

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from wdattn.ledger import Ledger, Outlook, Selection
from wdattn.ledger import report as reports
from wdattn.ledger import reproduce as calls
from wdattn.papers.lookup import keys, lookup
from wdattn.reproduction.design.paper import Paper


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
            the scale's; None keeps those. At most 10 000.
        controls: also make the runs without each claim's mechanism and judge them.
        out: folder for records and ledger, made if needed.
        progress: `wdattn.reproduction.Live()` for bars in the terminal; silent by default.
        jobs: int >= 1; 1 makes all runs in this process. None takes one for each core up to four
            on a CPU, and 1 on a GPU and for less than half a minute of work. A process takes 0.5
            to 1 GB of memory.

    Returns:
        The rows of this call; `out/<key>/ledger.json` keeps those of earlier ones too.

    Raises:
        ValueError: if a name is unknown (the known ones are listed), `seeds` is empty or too long,
            `jobs` is below 1, or `out` cannot be written.
        StoreBusy: if another process writes to `out/<key>`.
        WorkerLost: if one of the processes is killed; the next call continues.
    """
    return calls.reproduce(
        select(key, experiment, claim),
        scale=scale,
        seeds=seeds,
        controls=controls,
        out=out,
        progress=progress,
        jobs=jobs,
    )


def plan(
    key: str | None = None,
    *,
    scale: str = "laptop",
    experiment: str | None = None,
    claim: str | None = None,
    seeds: int | Iterable[int] | None = None,
    controls: bool = False,
    out="results",
) -> list[Outlook]:
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
        An entry for each experiment.
    """
    selections = select(key, experiment, claim)
    return calls.plan(selections, scale=scale, seeds=seeds, controls=controls, out=out)


def check(key=None, *, scale="laptop", experiment=None, claim=None, seeds=None) -> None:
    """Raises the ValueError that `reproduce` would raise for these names; loads no backend.

    Args:
        key: as for `reproduce`.
        scale: as for `reproduce`.
        experiment: as for `reproduce`.
        claim: as for `reproduce`.
        seeds: as for `reproduce`.
    """
    calls.check(select(key, experiment, claim), scale, seeds)


def judged(folder, note: Callable[[str], None] = warnings.warn) -> Ledger:
    """The ledger of a folder of results, every verdict computed anew from its records.

    A verdict is that of the records which the call that wrote its row made or accepted, whatever
    else the folder holds.

    Args:
        folder: what `--out` named.
        note: called with one line for each row and record that is left out, and for each library
            of which the records were made with another version than the installed one.

    Raises:
        ValueError: if the folder holds no ledger.
    """
    return reports.judged(_with_results(folder), folder, note)


def write_report(folder, note: Callable[[str], None] = warnings.warn) -> Path:
    """Draws the figures of a folder of results and writes its `report.html`.

    The page shows each figure once at full size and those of further backends smaller; the files
    are all of full size. A picture whose records and code are those of the last call is kept.

    Args:
        folder: what `--out` named.
        note: as for `judged`.

    Returns:
        The path of the page; the figures are in `folder/<key>/figures/`.

    Raises:
        ValueError: if the folder holds no ledger.
    """
    return reports.write_report(_with_results(folder), folder, note)


def select(key: str | None, experiment: str | None, claim: str | None) -> list[Selection]:
    """What the names mean: of one paper, or without a key the headline of each.

    Args:
        key: as for `reproduce`.
        experiment: as for `reproduce`.
        claim: as for `reproduce`.

    Raises:
        ValueError: if a name is unknown.
    """
    if key is not None:
        return [Selection.of(lookup(key), claim, experiment)]
    for name, value in (("experiment", experiment), ("claim", claim)):
        if value is not None:
            raise ValueError(f"`{name}` {value!r} needs a `key`, one of {', '.join(keys())}")
    return [Selection.headline(lookup(known)) for known in keys()]


def _with_results(folder) -> list[Paper]:
    """The papers that have a ledger in the folder."""
    with_results = [key for key in keys() if (Path(folder) / key / calls.LEDGER).exists()]
    if not with_results:
        raise ValueError(f"`folder` must hold results, got {str(folder)!r}, which has no ledger; "
                         "`wdattn reproduce` makes one")  # fmt: skip
    return [lookup(key) for key in with_results]
