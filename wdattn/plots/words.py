"""The words and signs that the figures and the written reports share."""

import math

# A verdict is told by sign, word and colour, never by colour alone.
SIGNS = {"reproduced": "✓", "contradicted": "✗", "inconclusive": "?", "not judged": "–"}


def significant(value, digits=3):
    """`value` rounded to some significant digits, without an exponent where it stays short.

    Args:
        value: float or None.
        digits: int >= 1. Significant digits kept.

    Returns:
        A string: `"12.1"`, `"1060"`, `"0.0034"`, `"2.1e-07"`; `"none"` for None and for NaN.

    Examples:
        >>> significant(1063.4), significant(0.5), significant(-2.14e-7), significant(None)
        ('1060', '0.500', '-2.14e-07', 'none')
    """
    if value is None or math.isnan(value):
        return "none"
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    rounded = float(f"{value:.{digits - 1}e}")
    place = math.floor(math.log10(abs(rounded)))
    if not -4 <= place <= 5:
        return f"{value:.{digits - 1}e}"
    return f"{rounded:.{max(digits - 1 - place, 0)}f}"


def effect(value, unit=None):
    """An effect as it is read: a log ratio as a factor (`"×12.1"`), anything else as it is."""
    if value is None or not math.isfinite(value):
        return "none"
    if unit == "log ratio":
        # exp overflows past 709; such a factor has no readable digits anyway.
        factor = math.exp(value) if value < 700 else math.inf
        return f"×{significant(factor, _digits(factor))}"
    return significant(value, _digits(value)).replace("-", "−")


def interval(ends, unit=None):
    """The two ends of an interval as `effect` writes them, without the sign: `"[9.80, 14.9]"`."""
    if not ends or None in ends:
        return "no interval"
    return f"[{effect(ends[0], unit).lstrip('×')}, {effect(ends[1], unit).lstrip('×')}]"


def _digits(value):
    return 2 if 0.095 <= abs(value) < 0.995 else 3


def seeds(numbers):
    """Seeds with runs written as ranges.

    Examples:
        >>> seeds([0, 1, 2, 5]), seeds([100, 101]), seeds([])
        ('0–2, 5', '100–101', 'none')
    """
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in runs) or "none"


def run_names(rows):
    """What tells the ledger rows of one claim apart.

    It is the backend; the scale where there are several; the seeds where a claim was measured
    twice on the same backend and scale (claims differ in their number of seeds anyway).
    """
    scales = {row["scale"] for row in rows}
    places = [(row["paper"], row["claim"], row["backend"], row["scale"]) for row in rows]
    twice = len(set(places)) < len(places)
    return [
        row["backend"]
        + (f", {row['scale']}" if len(scales) > 1 else "")
        + (f", seeds {seeds(row['seeds'])}" if twice else "")
        for row in rows
    ]
