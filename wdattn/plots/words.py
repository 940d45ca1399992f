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
    exponent = math.floor(math.log10(abs(rounded)))
    if not -4 <= exponent <= 5:
        return f"{value:.{digits - 1}e}"
    return f"{rounded:.{max(digits - 1 - exponent, 0)}f}"


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


def effect_lines(part):
    """An effect, and what follows it: its interval, or "at worst" where every value must fit.

    Args:
        part: object with `effect` (None where there is none), `interval` (None where there is
            none), `unit`, and `criterion` ("interval" or "every") where it is judged.

    Returns:
        Strings: `["×12.2", "[9.97, 14.9]"]`, `["0.97", "at worst"]`, `["no mean", "over seeds"]`.
    """
    if part.effect is None:
        return ["no mean", "over seeds"]
    lines = [effect(part.effect, part.unit)]
    if part.interval is not None:
        lines.append(interval(part.interval, part.unit))
    elif getattr(part, "criterion", "") == "every":
        lines.append("at worst")
    return lines


def effect_name(part):
    """The lines of `effect_lines` as one: `"×12.2 [9.97, 14.9]"`."""
    return " ".join(effect_lines(part))


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
    scales = {row.scale for row in rows}
    names = [(row.paper, row.claim, row.backend, row.scale) for row in rows]
    twice = len(set(names)) < len(names)
    return [
        row.backend
        + (f", {row.scale}" if len(scales) > 1 else "")
        + (f", seeds {seeds(row.seeds)}" if twice else "")
        for row in rows
    ]
