"""What the table, the Markdown and the site's pages put into the cells of a row."""

from collections.abc import Sequence

from wdattn.ledger.row import Row
from wdattn.ledger.wording import aside_name, region_name
from wdattn.plots import words
from wdattn.plots.words import effect_name
from wdattn.reproduction.judge.judgement import Part

Runs = list[tuple[Row, str]]
"""The rows of one claim, each with what tells it apart from the others."""


def by_claim(rows: Sequence[Row]) -> dict[tuple[str, str], Runs]:
    """Paper and claim to its rows, each with what tells it apart from the others.

    Args:
        rows: ledger rows.
    """
    claims: dict[tuple[str, str], Runs] = {}
    for row, name in zip(rows, words.run_names(rows), strict=True):
        claims.setdefault((row.paper, row.claim), []).append((row, name))
    return claims


def regions(rows: Sequence[Row]) -> list[str]:
    """What counts, a line a part where the parts differ.

    Args:
        rows: ledger rows of one claim.
    """
    parts = max((row.parts for row in rows), key=len)  # one without data has no parts
    lines = [f"counts {region_name(part)}" for part in parts]
    return lines[:1] if len(set(lines)) == 1 else labelled(parts, lines)


def measured(row: Row, between: str = ": ") -> list[str]:
    """A line for each effect, its label before it, and how many seeds were set aside.

    Args:
        row: a ledger row.
        between: what stands between label and effect.
    """
    aside = [aside_name(row)] if row.set_aside else []
    effects = labelled(row.parts, [effect_name(part) for part in row.parts], between)
    return [*effects, *aside] or ["not measured"]


def labelled(parts: Sequence[Part], lines: Sequence[str], between: str = ": ") -> list[str]:
    """Each part's line with the part's label before it, if there is more than one part.

    Args:
        parts: of one ledger row.
        lines: one a part.
        between: what stands between the two.
    """
    if len(parts) < 2:
        return list(lines)
    pairs = zip(parts, lines, strict=True)
    return [f"{part.label}{between}{line}" if part.label else line for part, line in pairs]


def shared(rows: Sequence[Row]) -> list[str]:
    """Where the rows come from, as far as their own cells do not say it, in a line or none.

    Args:
        rows: ledger rows.
    """
    scales, backends, seeds = (
        list(dict.fromkeys(values))
        for values in (
            (row.scale for row in rows),
            (row.backend for row in rows),
            (words.seeds(row.seeds) for row in rows),
        )
    )
    told = [f"{scales[0]} scale"] if len(scales) == 1 else []
    told += backends if len(backends) == 1 else []
    return [", ".join([*told, f"seeds {' or '.join(seeds)}"])] if rows else []
