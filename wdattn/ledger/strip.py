"""An effect, its interval and what counts as reproduced, as a small drawing in a page."""

import math
from collections.abc import Callable, Sequence
from html import escape

from wdattn.ledger.wording import region_name, threshold_name
from wdattn.plots.words import effect_name
from wdattn.reproduction.judge.judgement import Part

Across = Callable[[float], float]
WIDTH, HEIGHT, AXIS, LEVEL, CONTROL = 300, 44, 30, 11, 23


def strip(part: Part, control: Part | None = None, others: Sequence[Part] = ()) -> str:
    """SVG of one part: what counts, the effect with its interval, the control as a diamond.

    Where every value is held to the ends, the effect is the worst of them, without an interval.

    Args:
        part: a part of a ledger row.
        control: the same part with the mechanism removed, or None.
        others: parts and controls of other runs of the claim: drawings side by side that name each
            other here have one scale.

    Returns:
        An `<svg>` element, or "" where there is no effect to draw.
    """
    if part.effect is None:
        return ""
    drawn = [part, *([control] if control else ()), *others]
    shown = [number for one in drawn for number in _numbers(one)]
    shown += [0.0, *(end for end in (part.low, part.high) if math.isfinite(end))]
    left, span = min(shown), (max(shown) - min(shown)) or 1.0

    def across(value: float) -> float:
        """Pixels from the left edge."""
        return round(12 + (WIDTH - 24) * (value - left) / span, 1)

    lines = [
        _region(part, across),
        f'<line class="axis" x1="0" y1="{AXIS}" x2="{WIDTH}" y2="{AXIS}"/>',
        f'<line class="none" x1="{across(0)}" y1="0" x2="{across(0)}" y2="{AXIS}"/>',
        _bar(part, across, LEVEL, "bar"),
        f'<circle class="dot" cx="{across(part.effect)}" cy="{LEVEL}" r="5"/>',
    ]
    if control and control.effect is not None:
        lines += [_bar(control, across, CONTROL, "edge"), _diamond(across(control.effect))]
    kind = part.verdict.replace(" ", "-")
    said = escape(f"{effect_name(part)}; counts {region_name(part)}")
    head = f'<svg class="{kind}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">'
    return "".join([head, *lines, *_ticks(part, across), "</svg>"])


def _numbers(part: Part) -> list[float]:
    numbers = [part.effect, *(part.interval or ())]
    return [number for number in numbers if number is not None and math.isfinite(number)]


def _region(part: Part, across: Across) -> str:
    low = 0 if math.isinf(part.low) else across(part.low)
    high = WIDTH if math.isinf(part.high) else across(part.high)
    return f'<rect class="region" x="{low}" y="0" width="{high - low:.1f}" height="{AXIS}"/>'


def _bar(part: Part, across: Across, level: int, kind: str) -> str:
    if part.interval is None or not all(map(math.isfinite, part.interval)):
        return ""
    left, right = map(across, part.interval)
    return f'<line class="{kind}" x1="{left}" y1="{level}" x2="{right}" y2="{level}"/>'


def _diamond(x: float) -> str:
    corners = f"{x - 4},{CONTROL} {x},{CONTROL - 4} {x + 4},{CONTROL} {x},{CONTROL + 4}"
    return f'<polygon class="control" points="{corners}"/>'


def _ticks(part: Part, across: Across) -> list[str]:
    """The numbers that matter below the axis: the ends of what counts, and no effect."""
    texts: list[str] = []
    taken: list[float] = []
    for value in (part.low, part.high, 0.0):
        if math.isinf(value) or any(abs(across(value) - x) < 34 for x in taken):
            continue
        taken.append(across(value))
        name = threshold_name(value, part.unit)
        x = min(max(across(value), 12), WIDTH - 14)
        texts.append(f'<text x="{x}" y="{HEIGHT - 3}" text-anchor="middle">{escape(name)}</text>')
    return texts
