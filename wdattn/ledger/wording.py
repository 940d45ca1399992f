"""A ledger row in words: what every written form of the ledger says about a number.

A row is a plain dict. It always has `claim`, `paper`, `title`, `source`, `backend`, `scale`,
`seeds`, `verdict`, `parts`, `set_aside`, `control` and `why`; a part has `effect`, `interval`,
`low`, `high` and `verdict`. Whatever else a row carries travels with it.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from wdattn.plots import words

Row = Mapping[str, Any]


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Rows by paper in the order in which they come, then claim (C2 before C10), then as they come.

    Args:
        rows: ledger rows.
    """
    papers = list(dict.fromkeys(row["paper"] for row in rows))
    return sorted(rows, key=lambda row: (papers.index(row["paper"]), _natural(row["claim"])))


def run_name(row: Row) -> str:
    """Where a row comes from, and how many of its seeds were set aside.

    Args:
        row: a ledger row.

    Examples:
        >>> run_name({"scale": "laptop", "backend": "jax", "seeds": [0, 1, 2], "set_aside": 1})
        'laptop, jax, seeds 0–2, 1 set aside'
    """
    aside = f", {row['set_aside']} set aside" if row["set_aside"] else ""
    return f"{row['scale']}, {row['backend']}, seeds {words.seeds(row['seeds'])}{aside}"


def verdict_name(verdict: str) -> str:
    """A verdict with its sign.

    Args:
        verdict: one of the four words.

    Examples:
        >>> verdict_name("reproduced")
        '✓ reproduced'
    """
    return f"{words.SIGNS[verdict]} {verdict}"


def control_name(control: str | None) -> str:
    """The control's verdict; an alarm where it is *reproduced*, which a control must not be.

    Args:
        control: one of the four words, or None if the control was not run.

    Examples:
        >>> control_name(None), control_name("contradicted"), control_name("reproduced")
        ('not run', 'contradicted', '! reproduced')
    """
    return "not run" if control is None else ("! " if control == "reproduced" else "") + control


def effect_name(part: Row, logarithm: bool = False) -> str:
    """An effect with its interval, log ratios as factors.

    Args:
        part: a part of a ledger row.
        logarithm: whether a log ratio's own number follows the factor.

    Examples:
        >>> part = {"effect": 2.5, "interval": [2.3, 2.7], "unit": "log ratio"}
        >>> effect_name(part)
        '×12.2 [9.97, 14.9]'
        >>> effect_name(part, logarithm=True)
        '×12.2 [9.97, 14.9], logarithm 2.50 [2.30, 2.70]'
    """
    value, ends, unit = part["effect"], part["interval"], part.get("unit")
    if value is None or not math.isfinite(value):
        return "no mean over seeds"
    units = [unit, None] if logarithm and unit == "log ratio" else [unit]
    return ", logarithm ".join(
        words.effect(value, one) + (f" {words.interval(ends, one)}" if ends else "")
        for one in units
    )


def region_name(part: Row) -> str:
    """What counts as reproduced.

    Args:
        part: a part of a ledger row.

    Examples:
        >>> region_name({"low": 0.6931, "high": None, "unit": "log ratio"})
        'above ×2'
        >>> region_name({"low": -0.7, "high": -0.3, "unit": "slope"})
        'from −0.7 to −0.3'
    """
    low, high = (_end(part[side], part.get("unit")) for side in ("low", "high"))
    if low and high:
        return f"from {low} to {high}"
    return f"above {low}" if low else f"below {high}" if high else "anything"


def comparison(part: Row) -> str:
    """Where the interval lies against what counts as reproduced, as a sentence.

    Args:
        part: a part of a ledger row.
    """
    ends, region = part["interval"], f"what counts ({region_name(part)})"
    if part["effect"] is None or not math.isfinite(part["effect"]):
        return f"There is no mean over seeds to hold against {region}."
    if not ends or None in ends:
        return f"A number without an interval is held against {region}."
    low = -math.inf if part["low"] is None else part["low"]
    high = math.inf if part["high"] is None else part["high"]
    if low < ends[0] and ends[1] < high:
        return f"The whole interval lies inside {region}."
    if ends[1] < low or high < ends[0]:
        return f"The whole interval lies outside {region}."
    return f"The interval reaches across the edge of {region}."


def _end(value: float | None, unit: str | None) -> str:
    if value is None or math.isinf(value):
        return ""
    # Thresholds are round numbers: written as they were set, not to a number of digits.
    text = f"×{math.exp(value):.4g}" if unit == "log ratio" else f"{value:.4g}"
    return text.replace("-", "−")


def _natural(claim: str) -> list[tuple[bool, int, str]]:
    pieces = re.findall(r"\d+|\D+", claim)
    return [(p.isdigit(), int(p) if p.isdigit() else 0, p) for p in pieces]
