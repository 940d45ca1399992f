"""Lines over steps on one pair of axes: a mean over seeds with a band, and what it cannot show."""

from dataclasses import dataclass

import numpy as np

from wdattn import arguments
from wdattn.plots.style import looks, rug

SHARES = {"sd": 1.0, "sd/2": 0.5, "sd/4": 0.25}


@dataclass(frozen=True)
class Band:
    """A mean over seeds, and how far from it a band reaches on either side.

    Args:
        share: of the standard deviation over seeds; 0 for no band.
        logs: whether mean and deviation are those of the logarithms, drawn as their exponentials.
        words: what the legend calls the band, "" for none.
    """

    share: float
    logs: bool
    words: str


BANDS = {
    None: Band(0.0, False, ""),
    "log": Band(0.0, True, ""),
    **{name: Band(share, False, name) for name, share in SHARES.items()},
    **{
        f"log {name}": Band(share, True, f"{name} of the logarithm")
        for name, share in SHARES.items()
    },
}
# Lines that lie on each other and must all be seen: wide and pale first, then dashed, then dotted.
STACK = (
    {"linewidth": 4, "alpha": 0.25, "linestyle": "-"},
    {"linewidth": 1.2, "alpha": 0.9, "linestyle": (0, (5, 4))},
    {"linewidth": 1.2, "alpha": 0.9, "linestyle": (0, (1, 2))},
)


def increasing(steps):
    """`steps` as a float64 array; a ValueError if it is not `(points,)` and increasing."""
    steps = arguments.array("steps", steps, "points")
    if not np.isfinite(steps).all() or (np.diff(steps) <= 0).any():
        raise ValueError(f"`steps` must be finite and increasing, got {steps!r}")
    return steps


def band_of(name):
    """The band of that name; a ValueError if there is none."""
    return BANDS[arguments.choice("band", name, BANDS)]


def legend(series, band):
    """What line and band are, in a sentence; nothing where each line is a single run."""
    count = sorted({len(values) for values in series.values()})
    if count == [1]:
        return ""
    mean = "exp of the mean logarithm" if band.logs else "mean"
    line = f"Line: {mean} over {' or '.join(map(str, count))} seeds"
    return f"{line}; band: ± {band.words}." if band.words else f"{line}."


def draw_means(axes, steps, series, *, log, band, colors=None, where=""):
    """Draw each label's mean with its band.

    Args:
        axes: matplotlib axes.
        steps: `(points,)` float64.
        series: dict from label to `(seeds, points)` float64.
        log: bool. Whether the vertical axis is logarithmic.
        band: a `Band`.
        colors: dict from label to colour, or None.
        where: str. What the notes call these axes, "" where they are the only ones.

    Returns:
        Two lists: sentences on what could not be drawn, and `(label, colour, height)` where each
        curve ends.
    """
    notes, ends = [], []
    for level, (label, (colour, dash)) in enumerate(looks(series, colors).items()):
        values = series[label]
        _mean(axes, steps, values, (label, colour, dash), log, band)
        name = f"{where}, {label}" if where else label
        notes += oddities(axes, steps, name, values, colour, log, level)
        height = last_drawable(values, log)
        if height is not None:
            ends.append((label, colour, height))
    return notes, ends


def _mean(axes, steps, values, look, log, band):
    label, colour, dash = look
    finite = np.isfinite(values) & ((values > 0) | (not band.logs))
    whole = finite.all(axis=0)
    kept = np.where(finite, values, 1)
    kept, back = (np.log(kept), np.exp) if band.logs else (kept, np.asarray)
    mean = kept.mean(axis=0)
    few = "o" if len(steps) <= 12 else None
    # On a log axis a mean at or below 0 leaves a gap, not a line to the bottom.
    drawn = whole & ((back(mean) > 0) | (not log))
    axes.plot(
        steps,
        np.where(drawn, back(mean), np.nan),
        color=colour,
        linestyle=dash,
        marker=few,
        markersize=3.5,
        gid="mean",
        label=label,
    )
    if band.share and len(values) > 1:
        # The spread of numbers near the float limit overflows; inf keeps the band off the picture.
        with np.errstate(over="ignore"):
            spread = band.share * kept.std(axis=0, ddof=1)
            low, high = back(mean - spread), back(mean + spread)
        drawn = whole & np.isfinite(spread)
        axes.fill_between(steps, low, high, where=drawn, color=colour, alpha=0.25, linewidth=0)
    if not whole.all():
        # One point more on the left, so that the thin lines start where the mean stops.
        gap = ~whole | np.append(~whole[1:], False)
        thin = np.where(finite & gap, values, np.nan)
        axes.plot(steps, thin.T, color=colour, linewidth=0.7, alpha=0.8, gid="seed")


def oddities(axes, steps, label, values, colour, log, level, crosses=True):
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


def last_drawable(values, log):
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
