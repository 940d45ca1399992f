"""Ratios between two arms, one dot a seed, beside the paper's numbers."""

import numpy as np

from wdattn import arguments
from wdattn.plots.series import check_texts, labelled, labelled_or_none
from wdattn.plots.style import (
    BLACK,
    CYCLE,
    GREY,
    PANELS_WIDTH,
    WIDTH,
    canvas,
    footer,
    label_ends,
    log_ticks,
    styled,
)
from wdattn.plots.words import effect, significant

PAPER = CYCLE[1]


@styled
def ratios(
    values,
    *,
    intervals=None,
    paper=None,
    threshold=None,
    xlabel="",
    ylabel="SGDM / Adam",
    title="",
    note="",
):
    """Ratio of two arms for each seed, on a log axis, one column a label.

    Where the paper's numbers are given, our arithmetic mean and standard deviation over seeds stand
    below the column beside them: the same statistic as a table's, easily moved by one seed.

    Args:
        values: dict from label ("iteration 750") to `(seeds,)` ratios.
        intervals: dict from label to `(mean, low, high)` as ratios, the caller's own statistic
            (for most claims the geometric mean and its 95 % t interval), or None.
        paper: dict from label to the paper's `(mean, sd)`, or None. Its arithmetic mean and its
            standard deviation are another statistic than a geometric mean; the caption says so.
        threshold: float > 0 or None. Smallest ratio that counts, drawn as a dashed line.
        xlabel: str.
        ylabel: str.
        title: str.
        note: str. The caption's start; `caption` writes it.

    Returns:
        matplotlib `Figure`.

    Raises:
        ValueError: if `values` is empty, `intervals` or `paper` has a label that it lacks, or an
            argument is not of this kind.
    """
    values = {
        label: arguments.array(f"values[{label!r}]", seeds, "seeds")
        for label, seeds in labelled("values", values).items()
    }
    threshold = arguments.real_or_none("threshold", threshold, above=0)
    check_texts(xlabel=xlabel, ylabel=ylabel, title=title, note=note)
    intervals, paper = labelled_or_none("intervals", intervals), labelled_or_none("paper", paper)
    for name, other, size in (("intervals", intervals, 3), ("paper", paper, 2)):
        for label, numbers in other.items():
            if not isinstance(numbers, tuple | list | np.ndarray) or len(numbers) != size:
                raise ValueError(f"`{name}[{label!r}]` must be {size} numbers, got {numbers!r}")
        if strange := sorted(set(other) - set(values)):
            raise ValueError(f"`{name}` has labels {strange} that `values` lacks: {list(values)}")
    figure, [[axes]] = canvas(WIDTH if len(values) < 3 else PANELS_WIDTH, title=title)
    axes.set(yscale="log", xlabel=xlabel, ylabel=ylabel, xticks=range(len(values)))
    axes.set_xticklabels([_column(*pair, paper.get(pair[0])) for pair in values.items()])
    axes.axhline(1, color=GREY, linewidth=1)
    notes = [note]
    for column, (label, seeds) in enumerate(values.items()):
        notes.append(_dots(axes, column, label, seeds))
        _interval(axes, column, intervals.get(label))
        notes.append(_paper(axes, column, label, paper.get(label)))
    asides = [("equal", GREY, 1)]
    if threshold is not None:
        axes.axhline(threshold, color=GREY, linewidth=1.2, linestyle=(0, (4, 3)))
        asides.append((f"counts from {significant(threshold)}", GREY, threshold))
    _frame(axes, len(values))
    label_ends(axes, asides, fontsize=8.5, fontweight="normal")
    if intervals:
        notes.append("Diamond and bar: mean over seeds with its 95 % interval.")
    if paper:
        notes.append(
            "Square: the paper's arithmetic mean ± one standard deviation over its seeds. Below: "
            "arithmetic mean (standard deviation), as its table has them."
        )
    axes.legend(loc="upper right", bbox_to_anchor=(1, 1.1), ncols=3, borderaxespad=0)
    footer(figure, notes)
    return figure


def _dots(axes, column, label, ratios):
    good = np.isfinite(ratios) & (ratios > 0)
    spread = np.linspace(-0.1, 0.1, len(ratios)) if len(ratios) > 1 else np.zeros(1)
    axes.plot(
        column - 0.22 + spread[good],
        ratios[good],
        "o",
        color=BLACK,
        alpha=0.55,
        markersize=5.5,
        markeredgewidth=0,
        gid="seeds",
        label="one seed" if column == 0 else None,
    )
    lost = int((~good).sum())
    return (
        f"{_flat(label)}: {lost} of {len(ratios)} seeds have no positive finite ratio."
        if lost
        else ""
    )


def _interval(axes, column, interval):
    if interval is None or not all(end is not None and np.isfinite(end) for end in interval):
        return
    mean, low, high = interval
    axes.errorbar(
        column,
        mean,
        [[mean - low], [high - mean]],
        fmt="D",
        color=BLACK,
        capsize=5,
        markersize=7,
        label=_once(axes, "mean, 95 % interval"),
    )
    axes.annotate(
        significant(mean),
        (column, mean),
        (9, 0),
        textcoords="offset points",
        va="center",
        fontweight="bold",
    )


def _paper(axes, column, label, numbers):
    if numbers is None:
        return ""
    mean, sd = numbers
    x = column + 0.25
    # A log axis has no room for a bar that ends below 0: it is drawn down to a tenth of the mean.
    low = mean - sd if mean > sd else mean / 10
    axes.errorbar(
        x,
        mean,
        [[mean - low], [sd]],
        fmt="s",
        color=PAPER,
        capsize=5,
        markersize=7,
        label=_once(axes, "the paper"),
    )
    if mean > sd:
        return ""
    axes.plot(x, low, "v", color=PAPER, markersize=8)
    return f"{_flat(label)}: the paper's mean minus its standard deviation is below 0 (▼)."


def _column(label, ratios, numbers):
    """What stands below a column: its label, and the table's statistic where the paper has one."""
    if numbers is None or len(ratios) < 2 or not np.isfinite(ratios).all():
        return label
    ours = f"ours {effect(ratios.mean())} ({effect(ratios.std(ddof=1))})"
    return f"{label}\n{ours}\npaper {effect(numbers[0])} ({effect(numbers[1])})"


def _flat(label):
    return " ".join(label.split())


def _once(axes, label):
    return label if label not in axes.get_legend_handles_labels()[1] else None


def _frame(axes, columns):
    axes.set_xlim(-0.6, columns - 0.25)
    axes.grid(axis="x", visible=False)
    log_ticks(axes)
