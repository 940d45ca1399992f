"""A ledger row in words: what every written form of the ledger says about a number."""

import math
from collections.abc import Sequence

from wdattn.ledger.row import Row
from wdattn.plots import words
from wdattn.plots.words import effect_name
from wdattn.reproduction.design.references import Choice
from wdattn.reproduction.judge.judgement import Part


def run_name(row: Row) -> str:
    """Where a row comes from, and how many of its seeds were set aside.

    Args:
        row: a ledger row.
    """
    aside = f", {len(row.set_aside)} set aside" if row.set_aside else ""
    return f"{row.scale}, {row.backend}, seeds {words.seeds(row.seeds)}{aside}"


def aside_name(row: Row) -> str:
    """How many of a row's seeds were set aside.

    Args:
        row: a ledger row.
    """
    return f"{len(row.set_aside)} of {len(row.seeds)} seeds set aside"


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


def region_name(part: Part) -> str:
    """What counts as reproduced.

    Args:
        part: a part of a ledger row.

    Examples:
        >>> region_name(Part("", "log ratio", (), None, None, 0.6931, math.inf, "inconclusive"))
        'above ×2'
        >>> region_name(Part("", "slope", (), None, None, -0.7, -0.3, "inconclusive"))
        'from −0.7 to −0.3'
    """
    low, high = (threshold_name(end, part.unit) for end in (part.low, part.high))
    if low and high:
        return f"from {low} to {high}"
    return f"above {low}" if low else f"below {high}" if high else "anything"


def threshold_name(value: float, unit: str) -> str:
    """An end of what counts, as it was set and not to a number of digits; "" if it is open.

    Args:
        value: float, infinite where there is no end.
        unit: of it.

    Examples:
        >>> threshold_name(0.6931, "log ratio"), threshold_name(-0.3, "slope")
        ('×2', '−0.3')
    """
    if math.isinf(value):
        return ""
    text = f"×{math.exp(value):.4g}" if unit == "log ratio" else f"{value:.4g}"
    return text.replace("-", "−")


def relation(part: Part) -> str:
    """Where a part's numbers lie against what counts: "inside", "outside", "across" or "unknown".

    Args:
        part: a part of a ledger row.
    """
    if part.criterion == "every":
        known = {"reproduced": "inside", "contradicted": "outside"}
        return known.get(part.verdict, "unknown" if part.effect is None else "across")
    if part.effect is None or part.interval is None:
        return "unknown"
    lower, upper = part.interval
    if part.low < lower and upper < part.high:
        return "inside"
    return "outside" if upper < part.low or part.high < lower else "across"


def comparison(part: Part) -> str:
    """Where the numbers lie against what counts as reproduced, as a sentence.

    Args:
        part: a part of a ledger row.
    """
    region = f"what counts ({region_name(part)})"
    if part.criterion == "every":
        return {
            "inside": f"Every value of every seed lies inside {region}.",
            "outside": f"There is a value that lies outside {region} in every seed.",
            "across": f"Not every value of every seed lies inside {region}.",
            "unknown": f"A value that is not finite cannot be held against {region}.",
        }[relation(part)]
    return {
        "inside": f"The whole interval lies inside {region}.",
        "outside": f"The whole interval lies outside {region}.",
        "across": f"The interval reaches across the edge of {region}.",
        "unknown": f"There is no mean over seeds to hold against {region}.",
    }[relation(part)]


def choice_name(choice: Choice) -> str:
    """What a search chose, for which arm and from which grid.

    Args:
        choice: one of a ledger row.

    Examples:
        >>> choice_name(Choice("learning_rate", 0.1, (0.1, 0.2), {"layers": 2}))
        'layers 2: learning_rate = 0.1 of (0.1, 0.2), at the end of the grid'
    """
    arm = ", ".join(f"{name} {value}" for name, value in choice.arm.items())
    edge = ", at the end of the grid" if choice.at_an_end else ""
    grid = ", ".join(map(str, choice.grid))
    return f"{arm}{': ' if arm else ''}{choice.setting} = {choice.value} of ({grid}){edge}"


def beside_names(row: Row) -> list[str]:
    """What was measured beside the claim and not judged, a sentence each.

    Args:
        row: a ledger row.
    """
    told = [f"{one.label}: {effect_name(one)}" for one in row.beside]
    if row.skipped > 0:
        share = words.significant(100 * row.skipped, 2)
        told.append(f"steps skipped as their gradient is not finite: up to {share} %")
    return told


def criteria(rows: Sequence[Row]) -> set[str]:
    """How the parts of these rows are held to their ends: "interval", "every", or both.

    Args:
        rows: ledger rows.
    """
    return {part.criterion for row in rows for part in row.parts}
