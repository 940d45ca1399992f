"""A row of the ledger: one claim, on one backend, at one scale, on some seeds."""

import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wdattn.arguments import choice
from wdattn.backend_choice import BACKENDS
from wdattn.ledger.seeds import checked_seeds
from wdattn.reproduction.design.claim import VERDICTS
from wdattn.reproduction.design.references import Choice
from wdattn.reproduction.judge.judgement import Beside, Part

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured for a claim, and the verdict.

    A row may come from a file that somebody else wrote, and its names become file names and
    markup: what is not a plain name is refused.

    Args:
        paper: key of the paper.
        claim: id of the claim: "C6".
        title: the claim, in a sentence.
        source: its figure, table or section.
        backend: on which the runs were made.
        scale: name of the scale.
        seeds: the judged seeds.
        verdict: *reproduced*, *contradicted*, *inconclusive* or *not judged*.
        parts: each condition, judged; none where data is missing.
        set_aside: seeds on which the precondition failed.
        control: the control's verdict; None if it was not run.
        control_parts: each condition with the mechanism removed.
        why: one sentence with the numbers.
        expects: what the paper found.
        threshold_source: where the smallest effect that counts comes from.
        deviations: what differs from the paper at this scale.
        remark: what to know before trusting the verdict.
        choices: what searches chose.
        beside: effects that are reported and not judged.
        skipped: the largest share, of any run, of steps that were skipped as their gradient is not
            finite.
        builds: of the code that made the records which the verdict was computed from.
        versions: what these records were made with, each distinct set once: name ("keras",
            "backend_version", ...) to version.

    Raises:
        ValueError: if `paper`, `claim` or `scale` is not a plain name, `backend` or a verdict not
            one that is known, or `seeds` not ints in [0, 2^32).
    """

    paper: str
    claim: str
    title: str
    source: str
    backend: str
    scale: str
    seeds: tuple[int, ...]
    verdict: str
    parts: tuple[Part, ...]
    set_aside: tuple[int, ...]
    control: str | None
    control_parts: tuple[Part, ...]
    why: str
    expects: str
    threshold_source: str
    deviations: str
    remark: str
    choices: tuple[Choice, ...]
    beside: tuple[Beside, ...]
    skipped: float
    builds: tuple[str, ...]
    versions: tuple[Mapping[str, str], ...]

    def __post_init__(self):
        for name in ("paper", "claim", "scale"):
            value = getattr(self, name)
            if not isinstance(value, str) or not NAME.fullmatch(value):
                raise ValueError(
                    f"`{name}` must be a name of up to 64 letters, digits, dots, dashes and "
                    f"underscores, got {reprlib.repr(value)}"
                )
        choice("backend", self.backend, BACKENDS)
        choice("verdict", self.verdict, VERDICTS)
        if self.control is not None:
            choice("control", self.control, VERDICTS)
        checked_seeds(self.seeds)

    @property
    def run(self) -> tuple[str, str, tuple[int, ...]]:
        """Backend, scale and seeds: with paper and claim, no two rows of a ledger share them."""
        return self.backend, self.scale, self.seeds


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Rows by paper in the order in which they come, then claim (C2 before C10), then as they come.

    Args:
        rows: ledger rows.
    """
    papers = list(dict.fromkeys(row.paper for row in rows))
    return sorted(rows, key=lambda row: (papers.index(row.paper), natural(row.claim)))


def natural(claim: str) -> list[tuple[bool, int, str]]:
    """What claims are sorted by: numbers as numbers.

    Args:
        claim: id of a claim.
    """
    pieces = re.findall(r"[0-9]+|[^0-9]+", claim)
    return [(p[0] in "0123456789", int(p) if p[0] in "0123456789" else 0, p) for p in pieces]
