"""Whether the backends agree on a claim, in words."""

from collections.abc import Sequence

from wdattn.ledger.row import Row, ordered
from wdattn.plots import words


def disagreement(rows: Sequence[Row]) -> str:
    """Which runs of one claim came to which verdict, with their numbers; "" if to one.

    Args:
        rows: ledger rows of one claim.
    """
    names = words.run_names(rows)
    verdicts: dict[str, list[str]] = {}
    for row, name in zip(rows, names, strict=True):
        verdicts.setdefault(row.verdict, []).append(name + _numbers(row))
    if len(verdicts) < 2:
        return ""
    return ", ".join(f"{verdict} on {' and '.join(runs)}" for verdict, runs in verdicts.items())


def agreement(rows: Sequence[Row]) -> list[str]:
    """A sentence for each claim whose verdict depends on the backend; else that they agree.

    Rows are compared within one scale and the same seeds; nothing is said where no claim was
    measured on two backends.

    Args:
        rows: ledger rows.
    """
    groups: dict[tuple, list[Row]] = {}
    for row in ordered(rows):
        groups.setdefault((row.paper, row.claim, row.scale, row.seeds), []).append(row)
    compared = [group for group in groups.values() if len(group) > 1]
    if not compared:
        return []
    told = [
        f"{group[0].claim} ({group[0].scale} scale): the verdict depends on the backend: {differ}."
        for group in compared
        if (differ := disagreement(group))
    ]
    backends = dict.fromkeys(row.backend for group in compared for row in group)
    return told or [f"Verdicts agree on all backends ({', '.join(backends)})."]


def _numbers(row: Row) -> str:
    shown = [
        (f"{part.label}: " if part.label else "") + words.effect_name(part) for part in row.parts
    ]
    return f" ({'; '.join(shown)})" if shown else ""
