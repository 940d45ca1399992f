"""Curves over steps: the mean over seeds with a band, and the same seeds on several backends."""

import itertools

import numpy as np

from wdattn.plots import words
from wdattn.plots.style import (
    BLACK,
    GREY,
    canvas,
    footer,
    label_ends,
    looks,
    rug,
    series_of,
    styled,
)

# How much of the standard deviation over seeds lies on either side of the mean.
BANDS = {"sd": 1.0, "sd/2": 0.5, "sd/4": 0.25, None: 0.0}
# Lines that lie on each other and must all be seen: wide and pale first, then dashed, then dotted.
STACK = (
    {"linewidth": 4, "alpha": 0.25, "linestyle": "-"},
    {"linewidth": 1.2, "alpha": 0.9, "linestyle": (0, (5, 4))},
    {"linewidth": 1.2, "alpha": 0.9, "linestyle": (0, (1, 2))},
)


@styled
def curves(
    steps,
    series,
    *,
    log=True,
    band="sd/4",
    xlabel="Iteration",
    ylabel="Loss",
    title="",
    note="",
    colors=None,
    marks=None,
):
    """Mean over seeds with a band, one curve a label, labelled where it ends.

    The mean is the plain mean of all seeds. Where a seed is not finite it does not exist: the curve
    stops there, the remaining seeds go on as thin lines and a cross stands at the last finite
    point. On a log axis a point at or below 0 gets a tick at the bottom. Both are counted in the
    caption; nothing is dropped silently.

    Args:
        steps: `(points,)` increasing numbers.
        series: dict from label to `(seeds, points)` array.
        log: bool. Whether the vertical axis is logarithmic.
        band: "sd", "sd/2", "sd/4" or None: what lies on either side of the mean, in standard
            deviations over seeds (ddof 1); one seed has no band.
        xlabel: str.
        ylabel: str.
        title: str.
        note: str. The caption's start; `caption` writes it.
        colors: dict from label to colour, or None for SGDM black, Adam red and a cycle.
        marks: dict from step to text, drawn as dotted verticals, or None.

    Returns:
        matplotlib `Figure`.

    Raises:
        ValueError: if `band` is unknown, or steps and arrays do not fit.
    """
    if band not in BANDS:
        raise ValueError(f"`band` must be one of {list(BANDS)}, got {band!r}")
    steps = _increasing(steps)
    series = series_of(series, "series", len(steps))
    figure, [[axes]] = canvas(title=title)
    axes.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    notes, ends = [note, _legend(series, band)], []
    for level, (label, (colour, dash)) in enumerate(looks(series, colors).items()):
        values = series[label]
        _mean(axes, steps, values, colour, dash, BANDS[band])
        notes += _oddities(axes, steps, label, values, colour, log, level)
        last = _last_drawable(values, log)
        if last is not None:
            ends.append((label, colour, last))
    for step, text in (marks or {}).items():
        axes.axvline(step, color=GREY, linewidth=1, linestyle=":", zorder=1)
        axes.annotate(
            text,
            (step, 1),
            (3, -2),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            va="top",
            fontsize=8.5,
            color=GREY,
        )
    label_ends(axes, ends)
    footer(figure, notes)
    return figure


@styled
def backend_overlay(
    steps, series, *, log=True, xlabel="Iteration", ylabel="Loss", title="", note=""
):
    """The same seeds' curves on several backends on top of each other, and how far they part.

    Above, one line a seed: a wide pale one for the first backend, dashed and dotted ones on top of
    it for the others. Below, `largest_distance` at each step; its first and last value are written
    in the figure.

    Args:
        steps: `(points,)` increasing numbers.
        series: dict from arm ("SGDM") to a dict from backend to `(seeds, points)` array, two or
            more backends with the same seeds in the same order.
        log: bool. Whether the upper vertical axis is logarithmic.
        xlabel: str.
        ylabel: str.
        title: str.
        note: str. The caption's start.

    Returns:
        matplotlib `Figure`.

    Raises:
        ValueError: if an arm has fewer than two backends or the shapes differ.
    """
    steps = _increasing(steps)
    if not series:
        raise ValueError(f"`series` must hold at least one arm, got {series!r}")
    figure, [[upper], [lower]] = canvas(
        height=5.6, title=title, rows=2, columns=1, sharex=True, height_ratios=(5, 3)
    )
    upper.set(ylabel=ylabel, yscale="log" if log else "linear")
    lower.set(xlabel=xlabel, ylabel="Largest relative\ndistance", yscale="log")
    notes, ends, distances = [note], [], []
    for level, (arm, (colour, _)) in enumerate(looks(series).items()):
        backends = series_of(series[arm], f"series[{arm!r}]", len(steps))
        distance = largest_distance(backends)
        for number, (backend, values) in enumerate(backends.items()):
            upper.plot(steps, values.T, color=colour, **STACK[number % len(STACK)])
            name = f"{arm}, {backend}"
            notes += _oddities(upper, steps, name, values, colour, log, level, crosses=False)
        last = _last_drawable(next(iter(backends.values())), log)
        if last is not None:
            ends.append((arm, colour, last))
        distances += _distance(lower, steps, distance, colour, level)
        notes.append(_distance_note(arm, steps, distance))
    for number, backend in enumerate(backends):
        upper.plot([], [], label=backend, color=BLACK, **STACK[number % len(STACK)])
    upper.legend(loc="best", handlelength=3.5)
    label_ends(upper, ends)
    label_ends(lower, distances, fontsize=9, fontweight="normal")
    footer(figure, [*notes, "Distance: |a − b| / max(|a|, |b|), the largest over seeds and pairs."])
    return figure


def largest_distance(backends):
    """Largest relative distance between backends at each point, over seeds and pairs.

    Args:
        backends: dict from backend to `(seeds, points)` array, two or more, of one shape.

    Returns:
        `(points,)` float64: |a - b| / max(|a|, |b|), 0 where both are 0 or both are the same
        non-finite value, infinite where only one of them is finite.

    Raises:
        ValueError: if there are fewer than two, or their shapes differ.
    """
    arrays = list(series_of(backends, "backends").values())
    if len(arrays) < 2 or len({values.shape for values in arrays}) > 1:
        shapes = {name: np.shape(values) for name, values in backends.items()}
        raise ValueError(f"`backends` must be two or more arrays of one shape, got {shapes}")
    largest = np.zeros(arrays[0].shape[1])
    for a, b in itertools.combinations(arrays, 2):
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = np.abs(a - b) / np.maximum(np.abs(a), np.abs(b))
        equal = (a == b) | (np.isnan(a) & np.isnan(b))
        relative = np.where(equal, 0.0, np.where(np.isfinite(relative), relative, np.inf))
        largest = np.maximum(largest, relative.max(axis=0))
    return largest


def _increasing(steps):
    steps = np.asarray(steps, "float64")
    if steps.ndim != 1 or not steps.size or (np.diff(steps) <= 0).any():
        raise ValueError(f"`steps` must be (points,) and increasing, got {steps!r}")
    return steps


def _legend(series, band):
    count = sorted({len(values) for values in series.values()})
    seeds = " or ".join(str(n) for n in count) + (" seed" if count == [1] else " seeds")
    if band is None or count == [1]:
        return f"Line: mean over {seeds}."
    return f"Line: mean over {seeds}; band: ± {band}."


def _mean(axes, steps, values, colour, dash, share):
    finite = np.isfinite(values)
    whole = finite.all(axis=0)
    mean = np.where(whole, np.where(finite, values, 0).mean(axis=0), np.nan)
    few = "o" if len(steps) <= 30 else None
    axes.plot(steps, mean, color=colour, linestyle=dash, marker=few, markersize=3.5, gid="mean")
    if share and len(values) > 1:
        # The spread of numbers near the float limit overflows; inf keeps the band off the picture.
        with np.errstate(over="ignore"):
            spread = share * np.where(finite, values, 0).std(axis=0, ddof=1)
        drawn = whole & np.isfinite(spread)
        axes.fill_between(
            steps, mean - spread, mean + spread, where=drawn, color=colour, alpha=0.25, linewidth=0
        )
    if not whole.all():
        # One point more on the left, so that the thin lines start where the mean stops.
        gap = ~whole | np.append(~whole[1:], False)
        thin = np.where(finite & gap, values, np.nan)
        axes.plot(steps, thin.T, color=colour, linewidth=0.7, alpha=0.8, gid="seed")


def _oddities(axes, steps, label, values, colour, log, level, crosses=True):
    """Mark what a mean on this axis cannot show, and say in words how much of it there is."""
    notes = []
    finite = np.isfinite(values)
    if not finite.all():
        seeds = int((~finite).any(axis=1).sum())
        notes.append(
            f"{label}: {int((~finite).sum())} of {values.size} points are not finite "
            f"({seeds} of {len(values)} seeds; ✗ = last finite point)."
        )
        for row, good in zip(values, finite, strict=True):
            if crosses and good.any() and not good.all():
                last = np.flatnonzero(good)[-1] if not good[-1] else np.argmin(good) - 1
                axes.plot(
                    steps[last],
                    row[last],
                    "x",
                    color=colour,
                    markersize=8,
                    gid="cross",
                    markeredgewidth=2,
                )
    below = finite & (values <= 0)
    if log and below.any():
        rug(axes, steps[below.any(axis=0)], colour, level)
        notes.append(
            f"{label}: {int(below.sum())} of {values.size} points are 0 or negative "
            "(triangles at the bottom)."
        )
    return notes


def _last_drawable(values, log):
    """The height where a label belongs: the end of the mean, or of the seeds drawn in its stead."""
    for column in values.T[::-1]:
        finite = column[np.isfinite(column)]
        if len(finite) < len(column):
            finite = finite[(finite > 0) | (not log)]
        if finite.size:
            height = finite.mean() if len(finite) == len(column) else np.median(finite)
            if height > 0 or not log:
                return height
    return None


def _distance(axes, steps, distance, colour, level):
    """Draw the distance with its first and last value; return the place of the last one's label."""
    drawable = np.isfinite(distance) & (distance > 0)
    axes.plot(steps, np.where(drawable, distance, np.nan), color=colour, linewidth=1.4)
    if not drawable.all():
        rug(axes, steps[~drawable], colour, level)
    if drawable[0]:
        axes.annotate(
            words.significant(distance[0], 2),
            (steps[0], distance[0]),
            (0, 8),
            textcoords="offset points",
            color=colour,
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
        )
    return [(words.significant(distance[-1], 2), colour, distance[-1])] if drawable[-1] else []


def _distance_note(arm, steps, distance):
    first, last = (
        "none (equal to the bit)" if d == 0 else words.significant(d, 2) for d in distance[[0, -1]]
    )
    return f"{arm}: largest distance {first} at step {steps[0]:g}, {last} at step {steps[-1]:g}."
