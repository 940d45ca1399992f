"""The ledger as a forest plot: each claim's effect with its interval, and what would count."""

import textwrap

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from wdattn.plots import words
from wdattn.plots.style import BLACK, GREY, VERDICT_COLOURS, Picture, footer_lines, styled

MARKERS = {"reproduced": "o", "contradicted": "X", "inconclusive": "s", "not judged": "d"}
REGION = "#dcefe8"
# Inches: the left edge of each column, and heights. A layout engine cannot line up the rows inside
# the small axes with the words beside them, so every place is computed.
CLAIM, AXIS, AXIS_END, EFFECT, VERDICT, CONTROL, END = 0.15, 3.85, 6.55, 6.7, 8.15, 9.5, 11
LINE, TEXT_LINE, LABEL, TICKS, GAP, HEAD = 0.23, 0.18, 0.2, 0.3, 0.16, 0.9
BARS = "Bars: 95 % Student t interval over seeds."
WORST = "Without a bar: the value that lies farthest out, where all of them must lie inside."
NOTES = (
    "Shaded: counts as reproduced. Dotted: no effect. "
    "Hollow diamond and grey bar: the same with the mechanism removed."
)


@styled
def ledger(rows, *, title="Ledger", note=""):
    """Forest plot of ledger rows: one small axis a claim and part, one line a row.

    Effects of different claims live in different units, so each part has an axis of its own; log
    ratios are labelled as factors. The shaded region is what counts as reproduced.

    Args:
        rows: list of `wdattn.ledger.Row`.
        title: str.
        note: str. The caption's start.

    Returns:
        matplotlib `Figure`.

    Raises:
        ValueError: if there is no row.
    """
    if not rows:
        raise ValueError("`rows` must hold at least one ledger row, got none")
    claims: dict = {}
    for row in rows:
        claims.setdefault((row.paper, row.claim), []).append(row)
    blocks = [_block(same_claim) for same_claim in claims.values()]
    notes = footer_lines([note, *_legend(rows)], END)
    height = HEAD + sum(block["height"] for block in blocks) + 0.2 + 0.17 * len(notes)
    figure = Picture(figsize=(END, height))
    _header(figure, title)
    top = height - HEAD
    for block in blocks:
        _draw(figure, block, top)
        top -= block["height"]
    _text(figure, CLAIM, 0.1, "\n".join(notes), va="bottom", fontsize=8.5, color=GREY)
    return figure


def _legend(rows):
    """What the marks mean, as far as these rows have them."""
    criteria = {part.criterion for row in rows for part in row.parts}
    bars = [BARS] * ("interval" in criteria) + [WORST] * ("every" in criteria)
    return [*bars, NOTES]


def _block(rows):
    """One claim: its rows, its parts' labels, its title in lines, and heights in inches."""
    longest = max((row.parts for row in rows), key=len)
    labels = [part.label or f"part {i + 1}" for i, part in enumerate(longest)]
    labels = labels if len(labels) > 1 else [""]
    title = textwrap.wrap(rows[0].title, 36)
    part = LINE * len(rows) + TICKS + (LABEL if labels[0] else 0)
    height = max(part * len(labels), TEXT_LINE * len(title) + 0.1) + GAP
    return {"rows": rows, "labels": labels, "title": title, "part": part, "height": height}


def _draw(figure, block, top):
    rows, names = block["rows"], words.run_names(block["rows"])
    _rule(figure, top)
    top -= 0.08
    _text(figure, CLAIM, top - 0.14, rows[0].claim, va="baseline", fontweight="bold")
    for line, words_here in enumerate(block["title"]):
        _text(figure, CLAIM + 0.42, top - 0.14 - TEXT_LINE * line, words_here, va="baseline")
    for number, label in enumerate(block["labels"]):
        upper = top - number * block["part"]
        if label:
            _text(figure, AXIS, upper - 0.08, textwrap.shorten(label, 70), fontsize=8.5, color=GREY)
            upper -= LABEL
        parts = [_at(row.parts, number) for row in rows]
        controls = [_at(row.control_parts, number) for row in rows]
        axes = _axes(figure, upper, [*parts, *controls], len(rows))
        for line, (row, part, control) in enumerate(zip(rows, parts, controls, strict=True)):
            height = upper - LINE * (line + 0.5)
            _line(axes, line, part, control)
            _text(figure, AXIS - 0.08, height, names[line], ha="right", fontsize=8.5)
            measured = words.effect_name(part) if part else "not measured"
            _text(figure, EFFECT, height, measured, fontsize=8.5)
            if number == 0:
                _verdict(figure, height, row.verdict)
                _control(figure, height, row.control)


def _at(parts, number):
    return parts[number] if number < len(parts) else None


def _numbers(part):
    numbers = [part.effect, *(part.interval or ())] if part else []
    return [number for number in numbers if number is not None and np.isfinite(number)]


def _axes(figure, upper, parts, lines):
    """The small axes of one part, below `upper` inches, with limits that hold all it shows."""
    total = figure.get_figheight()
    frame = (
        AXIS / END,
        (upper - LINE * lines) / total,
        (AXIS_END - AXIS) / END,
        LINE * lines / total,
    )
    axes = figure.add_axes(frame)
    axes.set_ylim(lines - 0.5, -0.5)
    axes.yaxis.set_major_locator(NullLocator())
    axes.tick_params(labelsize=8, length=2, pad=2)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    first = next((part for part in parts if part is not None), None)
    if first is None:
        axes.set_axis_off()
        return axes
    low, high = first.low, first.high
    ends = [end for end in (low, high) if np.isfinite(end)]
    shown = [0.0, *ends, *(number for part in parts for number in _numbers(part))]
    margin = 0.08 * (max(shown) - min(shown)) or 1.0
    left, right = axes.set_xlim(min(shown) - margin, max(shown) + margin)
    if ends:
        region = max(low, left), min(high, right)
        axes.axvspan(*region, color=REGION, linewidth=0, zorder=0, gid="threshold")
    for end in ends:
        axes.axvline(end, color=VERDICT_COLOURS["reproduced"], linewidth=1, zorder=1)
    axes.axvline(0, color=GREY, linewidth=1, linestyle=":", zorder=1)
    if first.unit == "log ratio":
        ticks = _factors(left, right)
        axes.set_xticks(np.log(ticks), [f"×{factor:g}" for factor in ticks])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
    return axes


def _factors(left, right):
    """Three to six round factors between two log ratios, where there are any."""
    decades = 10.0 ** np.arange(np.floor(left / np.log(10)), np.ceil(right / np.log(10)) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5)):
        ticks = np.outer(decades, digits).ravel()
        ticks = ticks[(np.log(ticks) > left) & (np.log(ticks) < right)]
        if len(ticks) >= 3:
            return ticks[:: -(-len(ticks) // 6)]
    ticks = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(np.exp(left), np.exp(right))
    ticks = ticks[ticks > 0].round(9)
    return ticks[(np.log(ticks) > left) & (np.log(ticks) < right)]


def _line(axes, line, part, control):
    if _numbers(control):
        _bar(axes, line + 0.27, control, GREY, 1)
        look = {"markersize": 4, "markerfacecolor": "white", "color": GREY, "gid": "control"}
        axes.plot(control.effect, line + 0.27, "D", **look)
    if _numbers(part):
        verdict = part.verdict
        colour = VERDICT_COLOURS[verdict]
        _bar(axes, line, part, colour, 2.2)
        look = {"markersize": 7.5, "markeredgecolor": "white", "color": colour, "gid": "effect"}
        axes.plot(part.effect, line, MARKERS[verdict], **look)


def _bar(axes, height, part, colour, width):
    ends = part.interval
    if ends is not None and np.isfinite(ends).all():
        axes.plot(ends, [height, height], color=colour, linewidth=width, solid_capstyle="butt")


def _header(figure, title):
    top = figure.get_figheight()
    _text(figure, CLAIM, top - 0.26, title, fontsize=12, fontweight="bold")
    columns = {
        CLAIM: "Claim",
        AXIS: "Effect, and what counts",
        EFFECT: "Effect [interval]",
        VERDICT: "Verdict",
        CONTROL: "Mechanism removed",
    }
    for left, text in columns.items():
        _text(figure, left, top - HEAD + 0.16, text, fontsize=8.5, color=GREY)


def _verdict(figure, height, verdict):
    look = {"fontsize": 9, "fontweight": "bold", "color": VERDICT_COLOURS[verdict]}
    _text(figure, VERDICT, height, f"{words.SIGNS[verdict]} {verdict}", **look)


def _control(figure, height, verdict):
    look = {"fontsize": 9, "color": BLACK if verdict else GREY}
    if verdict == "reproduced":  # a control must not be: then the claim measures something else
        look = {"fontsize": 9, "color": VERDICT_COLOURS["contradicted"], "fontweight": "bold"}
    alarm = "! " if verdict == "reproduced" else ""
    _text(figure, CONTROL, height, f"{alarm}{verdict or 'not run'}", **look)


def _text(figure, x, y, text, **look):
    """Text at a place in inches from the lower left corner."""
    look = {"va": "center", "fontsize": 9.5} | look
    return figure.text(x / END, y / figure.get_figheight(), text, **look)


def _rule(figure, y):
    ends, height = (CLAIM / END, 1 - CLAIM / END), y / figure.get_figheight()
    look = {"color": "#cccccc", "linewidth": 0.8, "transform": figure.transFigure}
    figure.add_artist(Line2D(ends, (height, height), **look))
