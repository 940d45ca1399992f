"""Stored records, read back to be judged or drawn anew."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from wdattn.reproduction.design.claim import Claim
from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.settings import Settings
from wdattn.reproduction.judge.judgement import Judgement, judge_runs
from wdattn.reproduction.judge.versions import drifted
from wdattn.reproduction.run.store import Store, folders_of


class Records(Sequence):
    """Finished runs of one or more papers, on one or more backends.

    Args:
        records: as a store gives them.
    """

    def __init__(self, records: Sequence[Record]):
        self._records = sorted(records, key=lambda record: record.manifest.get("finished", ""))
        self._newest = {record.settings: record for record in self._records}
        self._on: dict[str, Records] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index):
        return self._records[index]

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def backends(self) -> tuple[str, ...]:
        """Names of the backends the runs were made on."""
        return tuple(sorted({record.manifest["backend"] for record in self._records}))

    def on(self, backend: str) -> "Records":
        """The runs made on that backend."""
        if backend not in self._on:  # a report asks for each of its rows and figures
            own = [record for record in self._records if record.manifest["backend"] == backend]
            self._on[backend] = Records(own)
        return self._on[backend]

    def find(self, settings: Settings) -> Record | None:
        """The newest record of that run, or None."""
        return self._newest.get(settings)


def load(folder) -> Records:
    """Reads every finished run below a folder of results; warns of those that cannot be read.

    Args:
        folder: what `--out` named ("results"), or one paper's folder in it.

    Raises:
        ValueError: if there is no finished run below it.
    """
    folder = Path(folder)
    stores = [Store(store, warnings.warn) for store in folders_of(folder)]
    records = [record for store in stores for record in store.records()]
    if not records:
        raise ValueError(f"`folder` must hold finished runs, got {str(folder)!r}, which has none")
    return Records(records)


def judge(
    claim: Claim,
    records: Records,
    *,
    scale: str = "laptop",
    seeds: Sequence[int] | None = None,
    control: bool = False,
) -> Judgement:
    """Judges a claim on stored records.

    Records made with other library versions than the installed ones are judged all the same, with
    a warning.

    Args:
        claim: of a paper, such as `wdattn.papers.lookup("ahn2024").claim("C6")`.
        records: what `load` gave; of one backend.
        scale: at which the runs were made.
        seeds: the judged seeds; None for the scale's own.
        control: judge the control instead.

    Returns:
        The judgement, *not judged* where a run is missing.

    Raises:
        ValueError: if the records come from several backends, or there is no such scale.
    """
    if len(records.backends()) > 1:
        raise ValueError(
            f"`records` must be of one backend, got {', '.join(records.backends())}: "
            "choose with records.on(name)"
        )
    chosen = claim.experiment.at(scale).seeds if seeds is None else tuple(seeds)
    versions = [record.manifest.get("versions", {}) for record in records]
    for line in sorted({line for one in versions for line in drifted(one)}):
        warnings.warn(line, stacklevel=2)
    return judge_runs(claim, records.find, scale, chosen, control)
