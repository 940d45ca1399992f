"""The ledger: claims, what was measured, and verdicts, as rows of plain data."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wdattn.ledger import report
from wdattn.reproduction.design.claim import NOT_JUDGED, Claim
from wdattn.reproduction.design.paper import Paper
from wdattn.reproduction.design.references import Find
from wdattn.reproduction.judge.judgement import Judgement, judge_runs
from wdattn.reproduction.run.store import write_whole

Row = dict[str, Any]


def row(
    paper: Paper,
    claim: Claim,
    find: Find,
    *,
    scale: str,
    seeds: Sequence[int],
    backend: str,
    versions: Mapping[str, str],
) -> Row:
    """Judges a claim, and its control where its runs were made, into one row.

    Args:
        paper: whose claim it is.
        claim: what is judged.
        find: settings to record.
        scale: name of the scale.
        seeds: the judged seeds.
        backend: on which the runs were made.
        versions: what the runs were made with.
    """
    judged = judge_runs(claim, find, scale, seeds)
    control = judge_runs(claim, find, scale, seeds, control=True)
    made = control.verdict != NOT_JUDGED
    experiment = claim.experiment
    return {
        "claim": claim.id,
        "paper": paper.key,
        "title": claim.sentence,
        "source": claim.source or experiment.source,
        "backend": backend,
        "scale": scale,
        "seeds": list(seeds),
        "verdict": judged.verdict,
        "parts": _parts(judged),
        "set_aside": len(judged.set_aside),
        "control": control.verdict if made else None,
        "control_parts": _parts(control) if made else None,
        "why": judged.why,
        "expects": claim.expects or experiment.expects,
        "threshold_source": claim.threshold_source,
        "deviations": experiment.at(scale).deviations(),
        "choices": [str(choice) for choice in judged.choices],
        "beside": [str(one) for one in judged.beside],
        "remark": claim.remark,
        "versions": dict(versions),
    }


def _parts(judgement: Judgement) -> list[Row]:
    return [{k: _plain(v) for k, v in asdict(part).items()} for part in judgement.parts]


def _plain(value):
    """JSON has neither NaN nor infinity: null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value


class Ledger(Sequence):
    """Rows in the order of paper, claim, backend, scale and seeds; one for each of these.

    Prints as a table, in a terminal and in a notebook.

    Args:
        rows: later ones replace earlier ones of the same claim, backend, scale and seeds.
    """

    def __init__(self, rows: Iterable[Row] = ()):
        unique = {_key(entry): dict(entry) for entry in rows}
        self.rows: list[Row] = [unique[key] for key in sorted(unique)]

    @classmethod
    def load(cls, path) -> "Ledger":
        """The ledger in that file; empty if there is none, a ValueError if it is not a ledger."""
        path = Path(path)
        try:
            return cls(report.from_json(path.read_text("utf-8")) if path.exists() else ())
        except ValueError as error:
            raise ValueError(f"{path} is not a ledger: {error}") from None

    def save(self, path) -> None:
        """Writes the rows as JSON, whole or not at all."""
        write_whole(Path(path), report.to_json(self.rows).encode())

    def merged(self, other: Iterable[Row]) -> "Ledger":
        """These rows and the others', which replace those of the same key."""
        return Ledger([*self.rows, *other])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __eq__(self, other) -> bool:
        return isinstance(other, Ledger) and self.rows == other.rows

    __hash__ = None  # type: ignore[assignment]

    def __rich__(self):
        return report.table(self.rows)

    def __repr__(self) -> str:
        return report.markdown(self.rows)

    def _repr_markdown_(self) -> str:
        return report.markdown(self.rows)


def _key(entry: Row) -> tuple:
    claim = entry["claim"]
    number = int(claim[len(claim.rstrip("0123456789")) :] or 0)
    return entry["paper"], number, claim, entry["backend"], entry["scale"], tuple(entry["seeds"])
