"""A judged condition in one sentence with its numbers."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wdattn.reproduction.judge.judgement import Part


def sentence(part: "Part", minimum: int) -> str:
    """What was found, and what counts.

    Args:
        part: a judged condition.
        minimum: seeds that are needed for a verdict.
    """
    name = f"{part.label}: " if part.label else ""
    count = len(part.values)
    if part.effect is None:
        if count < 2 and part.criterion == "interval":
            return f"{name}{count} seed judged, an interval needs at least 2"
        return f"{name}an effect is not finite: {[round(value, 3) for value in part.values]}"
    if part.criterion == "every":
        text = f"{name}farthest out {_number(part.unit, part.effect)} of {part.effects} effects"
        text += f" on each of {count} seeds; {_criterion(part)}"
        if part.reaches is not None:
            text += (
                f"; the largest is {_number(part.unit, part.reached)} and must reach "
                f"{_number(part.unit, part.reaches)}"
            )
    else:
        text = f"{name}effect {_measured(part.unit, part.effect, part.interval)}"
        text += f" over {count} seeds; {_criterion(part)}"
    return text + (f"; {minimum} seeds are needed for a verdict" if count < minimum else "")


def _measured(unit, effect, interval):
    lower, upper = interval
    text = f"{effect:.3g} [{lower:.3g}, {upper:.3g}]"
    if unit == "log ratio":
        text += f" = ×{_factor(effect)} [{_factor(lower)}, {_factor(upper)}]"
    return text


def _criterion(part):
    low, high = (_number(part.unit, end) for end in (part.low, part.high))
    if math.isinf(part.high):
        return f"counts above {low}"
    return f"counts below {high}" if math.isinf(part.low) else f"counts between {low} and {high}"


def _number(unit, value):
    return f"×{_factor(value)}" if unit == "log ratio" else f"{value:.3g}"


def _factor(value):
    return f"{math.exp(min(value, 700)):.3g}"
