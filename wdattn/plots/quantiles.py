"""Draws against the normal distribution: a histogram beside a quantile-quantile plot."""

import numpy as np

from wdattn.plots.histograms import DATA, MATCHED, bins_and_zoom, draw_bulk, finite_draws
from wdattn.plots.series import check_texts
from wdattn.plots.style import BLACK, PANELS_WIDTH, canvas, footer, styled


@styled
def quantiles(
    draws,
    *,
    matched=None,
    bins=100,
    zoom=0.999,
    xlabel="Norm of the gradient noise",
    title="",
    note="",
):
    """Histogram of the draws, and their order against a normal distribution's quantiles.

    On the right each sorted draw stands over the median of that order statistic of a standard
    normal sample (`scipy.stats.probplot`), with the least-squares line: draws of a normal
    distribution lie on it. A norm is never normal, so the matched Gaussian's norms are drawn too:
    how much further the draws bend than these is what says something on the noise.

    Args:
        draws: array of any shape, at least two finite numbers.
        matched: draws of the matched Gaussian's norm, of any shape, or None.
        bins: int in [1, 10^6].
        zoom: float in (0, 1] or None. Quantile where the histogram ends; None or 1: the whole.
        xlabel: str.
        title: str.
        note: str. The caption's start; `caption` writes it.

    Returns:
        matplotlib `Figure`.

    Raises:
        ValueError: if there are fewer than two finite draws, or an argument is not of this kind.
    """
    bins, zoom = bins_and_zoom(bins, zoom)
    check_texts(xlabel=xlabel, title=title, note=note)
    drawn, said = finite_draws("draws", draws, "gradient noise")
    gaussian, gaussian_said = finite_draws(
        "matched", () if matched is None else matched, "matched Gaussian"
    )
    if drawn.size < 2:
        raise ValueError(f"`draws` must hold at least two finite numbers, got {drawn.size}")
    figure, [[bulk, straight]] = canvas(PANELS_WIDTH, 4.0, title=title, columns=2)
    draw_bulk(bulk, drawn, gaussian, bins, density=True, zoom=zoom)
    bulk.set(xlabel=xlabel, ylabel="Density")
    bulk.set_title("Histogram", fontweight="bold")
    _against_normal(straight, gaussian, MATCHED, "--")
    _against_normal(straight, drawn, DATA, "-")
    straight.set(xlabel="Quantile of a normal distribution", ylabel=xlabel)
    straight.set_title("Normal QQ plot", fontweight="bold")
    figure.legend(*bulk.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    line = f"{drawn.size} draws. Lines: least squares; draws of a normal distribution lie on them."
    footer(figure, [note, line, said, gaussian_said])
    return figure


def _against_normal(axes, draws, colour, dash):
    if draws.size < 2:
        return
    from scipy import stats  # here, since it takes longer to import than all the rest

    (theory, ordered), (slope, offset, _) = stats.probplot(draws)
    axes.plot(theory, ordered, "o", color=colour, markersize=3, markeredgewidth=0, gid="draws")
    ends = np.array([theory[0], theory[-1]])
    axes.plot(ends, offset + slope * ends, color=BLACK, linestyle=dash, linewidth=1, gid="line")
