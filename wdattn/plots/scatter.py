"""Scatter of two positive quantities along training, in natural logarithms."""

import reprlib

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap

from wdattn import arguments
from wdattn.plots import words
from wdattn.plots.series import check_texts, labelled, series_of
from wdattn.plots.style import BLACK, PANELS_WIDTH, WIDTH, canvas, footer, styled

# Its yellow end would vanish on white.
COLOURS = ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0, 0.9, 256)))


@styled
def scatter_panels(
    panels,
    colour,
    *,
    fit=True,
    xlabel="ln ‖gradient‖",
    ylabel="ln ‖Hessian‖",
    colour_label="Iteration",
    title="",
    note="",
):
    """One dot a step: ln x against ln y, coloured by the iteration, with least-squares lines.

    One panel a setting, side by side, each with axes of its own.

    Args:
        panels: dict from a panel's title to `(x, y)`, each `(seeds, points)` positive numbers; the
            logarithm is taken here. A point whose x or y is not finite or not positive has none,
            and is counted in the caption.
        colour: `(points,)` numbers: the iteration of each point.
        fit: bool. Whether to draw each seed's line and to write the slopes.
        xlabel: str.
        ylabel: str.
        colour_label: str. Title of the colour bar.
        title: str.
        note: str. The caption's start; `caption` writes it.

    Returns:
        matplotlib `Figure`.

    Raises:
        ValueError: if there is no panel, the shapes do not fit, or an argument is not of this kind.
    """
    panels, fit = labelled("panels", panels), arguments.flag("fit", fit)
    colour = arguments.array("colour", colour, "points")
    check_texts(xlabel=xlabel, ylabel=ylabel, colour_label=colour_label, title=title, note=note)
    for name, pair in panels.items():
        if not isinstance(pair, tuple | list | np.ndarray) or len(pair) != 2:
            raise ValueError(f"`panels[{name!r}]` must be a pair (x, y), got {reprlib.repr(pair)}")
    width = WIDTH if len(panels) == 1 else PANELS_WIDTH
    figure, [row] = canvas(width, 4.2, title=title, columns=len(panels))
    notes = [note]
    for axes, (name, (x, y)) in zip(row, panels.items(), strict=True):
        x = series_of({"x": x}, f"panels[{name!r}]", len(colour))["x"]
        y = series_of({"y": y}, f"panels[{name!r}]", len(colour))["y"]
        if x.shape != y.shape:
            raise ValueError(f"`panels[{name!r}]` must be two arrays of one shape, "
                             f"got {x.shape}, {y.shape}")  # fmt: skip
        dots, slopes = _panel(axes, x, y, colour, fit)
        axes.set(xlabel=xlabel)
        axes.set_title(name, fontweight="bold")
        lost = _lost(x, y)
        notes += [_slopes(slopes, f"{name}: ", ".") if fit else "", lost and f"{name}: {lost}"]
    figure.colorbar(dots, ax=row, label=colour_label, aspect=30, pad=0.02)
    row[0].set_ylabel(ylabel)
    footer(figure, notes)
    return figure


def _panel(axes, x, y, colour, fit):
    slopes = []
    for seed_x, seed_y in zip(x, y, strict=True):
        good = _usable(seed_x, seed_y)
        ln_x, ln_y = np.log(seed_x[good]), np.log(seed_y[good])
        dots = axes.scatter(
            ln_x,
            ln_y,
            c=colour[good],
            s=11,
            cmap=COLOURS,
            linewidths=0,
            vmin=colour.min(),
            vmax=colour.max(),
            alpha=0.8,
        )
        if not fit:
            continue
        # A line needs two different x; without them there is no slope, and the caption says none.
        if np.ptp(ln_x) > 0 if ln_x.size else False:
            slope, offset = np.polyfit(ln_x, ln_y, 1)
            ends = np.array([ln_x.min(), ln_x.max()])
            axes.plot(ends, offset + slope * ends, color=BLACK, linewidth=1.3, gid="fit")
            slopes.append(slope)
        else:
            slopes.append(np.nan)
    return dots, slopes


def _usable(x, y):
    return np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)


def _slopes(slopes, before, after=""):
    finite = [slope for slope in slopes if np.isfinite(slope)]
    if not finite:
        return f"{before}no slope{after}"
    if len(slopes) == 1:
        return f"{before}slope {words.effect(finite[0])}{after}"
    text = (
        f"{before}slope {words.effect(np.mean(finite))} on average, "
        f"{words.effect(min(finite))} to {words.effect(max(finite))} over {len(finite)} seeds"
        f"{after}"
    )
    lost = len(slopes) - len(finite)
    return text + (f" {lost} without a slope." if lost else "")


def _lost(x, y):
    lost = ~_usable(x, y)
    if not lost.any():
        return ""
    negative = int((np.isfinite(y) & (y <= 0)).sum())
    return (
        f"{int(lost.sum())} of {lost.size} points have no logarithm and are missing here "
        f"({negative} with y at or below 0)."
    )
