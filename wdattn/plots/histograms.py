"""Histograms of gradient-noise norms beside a Gaussian of the same covariance."""

import numpy as np

from wdattn import arguments
from wdattn.plots import words
from wdattn.plots.series import check_texts, labelled, labelled_or_none
from wdattn.plots.style import GREY, PANELS_WIDTH, WIDTH, canvas, footer, styled

# Dark on light: the outline must be seen on the bars without colour too.
DATA, MATCHED = "#a9cbe4", "#9c3d00"


@styled
def histogram(
    series,
    *,
    matched=None,
    bins=100,
    density=True,
    zoom=0.995,
    xlabel="Norm of the gradient noise",
    title="",
    note="",
):
    """Histogram of each label's draws: the bulk on a plain axis, all of it as log counts.

    With one label the two pictures stand side by side; with several, each label has a column. A
    long right tail squeezes the bulk into a few bins, so the plain picture ends at a quantile and
    says how much lies beyond; the log counts show the whole tail.

    Args:
        series: dict from label to an array of draws of any shape (seeds are pooled).
        matched: dict from label to draws of the matched Gaussian's norm, drawn as an outline, or
            None.
        bins: int in [1, 10^6]. Bins of each picture.
        density: bool. Whether the bulk is drawn as a density of all draws; counts otherwise.
        zoom: float in (0, 1] or None. Quantile where the bulk's picture ends; None or 1: the whole.
        xlabel: str.
        title: str.
        note: str. The caption's start; `caption` writes it.

    Returns:
        matplotlib `Figure`.

    Raises:
        ValueError: if there is no label, no finite draw, or an argument is not of this kind.
    """
    series, matched = labelled("series", series), labelled_or_none("matched", matched)
    if strange := sorted(set(matched) - set(series)):
        raise ValueError(f"`matched` has labels {strange} that `series` lacks: {list(series)}")
    bins, zoom = bins_and_zoom(bins, zoom)
    density = arguments.flag("density", density)
    check_texts(xlabel=xlabel, title=title, note=note)
    one = len(series) == 1
    rows, columns = (1, 2) if one else (2, len(series))
    size = (WIDTH, 3.6) if one else (max(PANELS_WIDTH, 3.2 * columns), 5.4)
    figure, grid = canvas(*size, title=title, rows=rows, columns=columns)
    pairs = grid if one else grid.T
    notes = [note]
    for (label, draws), (bulk, tail) in zip(series.items(), pairs, strict=True):
        drawn, said = finite_draws(f"series[{label!r}]", draws, label)
        gaussian, gaussian_said = finite_draws(
            f"matched[{label!r}]", matched.get(label, ()), f"{label}, matched"
        )
        if not drawn.size:
            raise ValueError(f"`series[{label!r}]` must hold a finite draw, got none")
        notes += [f"{label}: {drawn.size} draws.", said, gaussian_said]
        draw_bulk(bulk, drawn, gaussian, bins, density, zoom)
        _tail(tail, drawn, gaussian, bins)
        bulk.set_title(label, fontweight="bold")
        bulk.set(ylabel="Density" if density else "Draws")
        tail.set_title("The same, as log counts" if one else "")
        for axes in (bulk, tail) if one else (tail,):
            axes.set_xlabel(xlabel)
    if any(np.size(draws) for draws in matched.values()):
        figure.legend(*pairs[0][0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
        notes.append("Matched Gaussian: normal vectors with the noise's own covariance.")
    footer(figure, notes)
    return figure


def bins_and_zoom(bins, zoom):
    """The number of bins and the quantile where the picture ends; a ValueError names either."""
    most = 10**6  # more than a picture can show
    return (
        arguments.integer("bins", bins, most=most),
        arguments.real_or_none("zoom", zoom, above=0, most=1),
    )


def finite_draws(argument, draws, label):
    """The finite ones as a flat array, and how many were lost in words."""
    draws = arguments.numbers(argument, draws).ravel()
    lost = int((~np.isfinite(draws)).sum())
    said = f"{label}: {lost} of {draws.size} draws are not finite and cannot be drawn."
    return draws[np.isfinite(draws)], said if lost else ""


def _edges(low, high, bins):
    return np.linspace(low, high if high > low else low + 1, bins + 1)


def draw_bulk(axes, draws, gaussian, bins, density, zoom):
    """Bars of the draws and the outline of the Gaussian's, up to a quantile of the draws."""
    every = np.concatenate([draws, gaussian])
    end = draws.max() if zoom is None or zoom == 1 else np.quantile(draws, zoom)
    whole = end >= draws.max()
    edges = _edges(every.min(), max(end, gaussian.max(initial=end)) if whole else end, bins)
    width = edges[1] - edges[0]
    for values, look in (
        (draws, {"fill": True, "color": DATA, "label": "gradient noise"}),
        (gaussian, {"color": MATCHED, "linewidth": 1.6, "label": "matched Gaussian"}),
    ):
        if values.size:
            scale = values.size * width if density else 1
            axes.stairs(np.histogram(values, edges)[0] / scale, edges, **look)
    axes.set_ylim(0, axes.dataLim.ymax * 1.15)
    beyond = int((draws > edges[-1]).sum())
    if beyond:
        share, largest = words.significant(100 * beyond / draws.size, 2), draws.max()
        axes.text(
            1,
            0.99,
            f"{share} % lie beyond, up to {words.significant(largest)} →",
            ha="right",
            va="top",
            fontsize=8.5,
            transform=axes.transAxes,
            color=GREY,
        )


def _tail(axes, draws, gaussian, bins):
    every = np.concatenate([draws, gaussian])
    edges = _edges(every.min(), every.max(), bins)
    # A floor below 1 keeps single draws visible: on a log axis a bar of height 1 has no length.
    look = {"fill": True, "color": DATA, "baseline": 0.5}
    axes.stairs(np.histogram(draws, edges)[0], edges, **look)
    if gaussian.size:
        # The outline is scaled to the number of draws, so that the two heights compare.
        counts = np.histogram(gaussian, edges)[0] * (draws.size / gaussian.size)
        first, last = np.flatnonzero(counts)[[0, -1]]
        counts = np.maximum(counts[first : last + 1], 0.5)
        look = {"color": MATCHED, "linewidth": 1.6, "baseline": 0.5}
        axes.stairs(counts, edges[first : last + 2], **look)
    axes.set(yscale="log", ylabel="Draws", ylim=(0.5, None))
