"""The same seeds on several backends, and how far they part."""

import itertools

import numpy as np

from wdattn import arguments
from wdattn.plots import words
from wdattn.plots.lines import STACK, increasing, last_drawable, oddities
from wdattn.plots.series import check_texts, labelled, series_of
from wdattn.plots.style import BLACK, canvas, footer, label_ends, looks, rug, styled


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
        ValueError: if an arm has fewer than two backends, the shapes differ, or an argument is not
            of this kind.
    """
    log, steps, series = arguments.flag("log", log), increasing(steps), labelled("series", series)
    check_texts(xlabel=xlabel, ylabel=ylabel, title=title, note=note)
    figure, [[upper], [lower]] = canvas(
        height=5.6, title=title, rows=2, columns=1, sharex=True, height_ratios=(5, 3)
    )
    upper.set(ylabel=ylabel, yscale="log" if log else "linear")
    lower.set(xlabel=xlabel, ylabel="Largest relative\ndistance", yscale="log")
    notes, ends, distances = [note], [], []
    for level, (arm, (colour, _)) in enumerate(looks(series).items()):
        backends = series_of(series[arm], f"series[{arm!r}]", len(steps))
        distance = _largest_distance(backends, f"series[{arm!r}]")
        for number, (backend, values) in enumerate(backends.items()):
            upper.plot(steps, values.T, color=colour, **STACK[number % len(STACK)])
            name = f"{arm}, {backend}"
            notes += oddities(upper, steps, name, values, colour, log, level, crosses=False)
        last = last_drawable(next(iter(backends.values())), log)
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
    return _largest_distance(series_of(backends, "backends"), "backends")


def _largest_distance(backends, argument):
    arrays = list(backends.values())
    if len(arrays) < 2 or len({values.shape for values in arrays}) > 1:
        shapes = {name: values.shape for name, values in backends.items()}
        raise ValueError(f"`{argument}` must be two or more arrays of one shape, got {shapes}")
    largest = np.zeros(arrays[0].shape[1])
    for a, b in itertools.combinations(arrays, 2):
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = np.abs(a - b) / np.maximum(np.abs(a), np.abs(b))
        equal = (a == b) | (np.isnan(a) & np.isnan(b))
        relative = np.where(equal, 0.0, np.where(np.isfinite(relative), relative, np.inf))
        largest = np.maximum(largest, relative.max(axis=0))
    return largest


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
            (0, 8 + 12 * level),
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
