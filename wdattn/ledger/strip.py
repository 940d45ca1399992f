"""An effect, its interval and what counts as reproduced, as a small drawing in a page."""

import math
from collections.abc import Sequence
from html import escape

from wdattn.ledger.wording import Row, effect_name, region_name
from wdattn.plots import words

WIDTH, HEIGHT, AXIS, LEVEL, CONTROL = 300, 44, 30, 11, 23


def strip(part: Row, control: Row | None = None, others: Sequence[Row] = ()) -> str:
    """SVG of one part: the region that counts, the interval, and the control as a hollow diamond.

    Args:
        part: a part of a ledger row.
        control: the same part with the mechanism removed, or None.
        others: parts and controls of other runs of the claim: drawings side by side that name each
            other here have one scale.

    Returns:
        An `<svg>` element, or "" where there is no effect to draw.
    """
    if part["effect"] is None or not math.isfinite(part["effect"]):
        return ""
    drawn = [part, *([control] if control else ()), *others]
    shown = [number for one in drawn for number in _numbers(one)]
    ends = [part[side] for side in ("low", "high") if part[side] is not None]
    shown += [0.0, *(end for end in ends if math.isfinite(end))]
    left, span = min(shown), (max(shown) - min(shown)) or 1.0

    def place(value: float) -> float:
        return round(12 + (WIDTH - 24) * (value - left) / span, 1)

    lines = [
        _region(part, place),
        f'<line class="axis" x1="0" y1="{AXIS}" x2="{WIDTH}" y2="{AXIS}"/>',
        f'<line class="none" x1="{place(0)}" y1="0" x2="{place(0)}" y2="{AXIS}"/>',
        _bar(part, place, LEVEL, "bar"),
        f'<circle class="dot" cx="{place(part["effect"])}" cy="{LEVEL}" r="5"/>',
    ]
    if control and control["effect"] is not None and math.isfinite(control["effect"]):
        lines += [_bar(control, place, CONTROL, "edge"), _diamond(place(control["effect"]))]
    kind = part["verdict"].replace(" ", "-")
    said = escape(f"{effect_name(part)}; counts {region_name(part)}")
    head = f'<svg class="{kind}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">'
    return "".join([head, *lines, *_ticks(part, place), "</svg>"])


def _numbers(part: Row) -> list[float]:
    numbers = [part["effect"], *(part["interval"] or ())]
    return [number for number in numbers if number is not None and math.isfinite(number)]


def _region(part: Row, place) -> str:
    low = 0 if part["low"] is None or math.isinf(part["low"]) else place(part["low"])
    high = WIDTH if part["high"] is None or math.isinf(part["high"]) else place(part["high"])
    return f'<rect class="region" x="{low}" y="0" width="{high - low:.1f}" height="{AXIS}"/>'


def _bar(part: Row, place, level: int, kind: str) -> str:
    if not part["interval"] or None in part["interval"]:
        return ""
    left, right = (place(end) for end in part["interval"])
    return f'<line class="{kind}" x1="{left}" y1="{level}" x2="{right}" y2="{level}"/>'


def _diamond(x: float) -> str:
    corners = f"{x - 4},{CONTROL} {x},{CONTROL - 4} {x + 4},{CONTROL} {x},{CONTROL + 4}"
    return f'<polygon class="control" points="{corners}"/>'


def _ticks(part: Row, place) -> list[str]:
    """The numbers that matter below the axis: the ends of what counts, and no effect."""
    unit, texts = part.get("unit"), []
    taken: list[float] = []
    for value in (part["low"], part["high"], 0.0):
        if value is None or math.isinf(value) or any(abs(place(value) - x) < 34 for x in taken):
            continue
        taken.append(place(value))
        name = region_name({"low": value, "high": None, "unit": unit}).removeprefix("above ")
        if value == 0.0:
            name = words.effect(0.0, unit).removesuffix(".00")
        x = min(max(place(value), 12), WIDTH - 14)
        texts.append(f'<text x="{x}" y="{HEIGHT - 3}" text-anchor="middle">{escape(name)}</text>')
    return texts
