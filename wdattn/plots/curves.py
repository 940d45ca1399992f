"""Curves over steps: the mean over seeds with a band, in one picture or a row of panels."""

from matplotlib.ticker import MaxNLocator

from wdattn import arguments
from wdattn.plots.lines import band_of, draw_means, increasing, legend
from wdattn.plots.series import check_texts, labelled, labelled_or_none, series_of
from wdattn.plots.style import GREY, PANELS_WIDTH, canvas, footer, label_ends, log_ticks, styled


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
            deviations over seeds (ddof 1); one seed has no band. "log sd", "log sd/2", "log sd/4"
            or "log": mean and standard deviation of the logarithms, drawn as their exponentials; a
            number at or below 0 then counts as missing from the mean.
        xlabel: str.
        ylabel: str.
        title: str.
        note: str. The caption's start; `caption` writes it.
        colors: dict from label to colour, or None for SGDM black, Adam red and a cycle.
        marks: dict from step to text, drawn as dotted verticals, or None.

    Returns:
        matplotlib `Figure`.

    Raises:
        ValueError: if steps and arrays do not fit, or an argument is not of this kind.
    """
    log, band = arguments.flag("log", log), band_of(band)
    check_texts(xlabel=xlabel, ylabel=ylabel, title=title, note=note)
    marks, colors = labelled_or_none("marks", marks), labelled_or_none("colors", colors)
    steps = increasing(steps)
    series = series_of(series, "series", len(steps))
    figure, [[axes]] = canvas(title=title)
    axes.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    odd, ends = draw_means(axes, steps, series, log=log, band=band, colors=colors)
    if log:
        log_ticks(axes)
    for step, text in marks.items():
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
    footer(figure, [note, legend(series, band), *odd])
    return figure


@styled
def curve_panels(
    steps,
    panels,
    *,
    log=True,
    band="sd/4",
    share=False,
    xlabel="Iteration",
    ylabel="Loss",
    title="",
    note="",
    colors=None,
):
    """`curves` side by side, one panel a setting, with one legend for all.

    Args:
        steps: `(points,)` increasing numbers.
        panels: dict from a panel's title to a dict from label to `(seeds, points)` array.
        log: bool. As for `curves`.
        band: as for `curves`.
        share: bool. Whether the panels have one vertical axis, so that heights compare.
        xlabel: str.
        ylabel: str.
        title: str.
        note: str. The caption's start; `caption` writes it.
        colors: dict from label to colour, or None.

    Returns:
        matplotlib `Figure`.

    Raises:
        ValueError: if there is no panel, steps and arrays do not fit, or an argument is not of this
            kind.
    """
    log, share = arguments.flag("log", log), arguments.flag("share", share)
    check_texts(xlabel=xlabel, ylabel=ylabel, title=title, note=note)
    panels, colors = labelled("panels", panels), labelled_or_none("colors", colors)
    band, steps = band_of(band), increasing(steps)
    figure, [row] = canvas(PANELS_WIDTH, 3.9, title=title, columns=len(panels), sharey=share)
    notes, labels = [note], {}
    for axes, (name, series) in zip(row, panels.items(), strict=True):
        series = series_of(series, f"panels[{name!r}]", len(steps))
        axes.set(xlabel=xlabel, yscale="log" if log else "linear")
        axes.set_title(name, fontweight="bold")
        look = {"log": log, "band": band, "colors": colors, "where": name}
        odd, _ = draw_means(axes, steps, series, **look)
        if log:
            log_ticks(axes)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        said = legend(series, band)
        notes += [*([said] if said not in notes else []), *odd]
        labels |= {line.get_label(): line for line in axes.lines if line.get_gid() == "mean"}
    row[0].set_ylabel(ylabel)
    figure.legend(labels.values(), labels, loc="outside upper right", ncols=len(labels))
    footer(figure, notes)
    return figure
