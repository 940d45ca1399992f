"""Spectra of attention heads as small multiples: a panel a layer or setting, a curve a head."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from wdattn import arguments
from wdattn.plots.series import check_texts, labelled, labelled_or_none
from wdattn.plots.style import CYCLE, GREY, canvas, footer, styled

COLUMNS = 6  # panels side by side; more than that go on in a new row
PANEL, WIDE_PANEL = (1.9, 1.75), (3.5, 2.4)  # inches; the latter where there are one or two
SHARE = 0.95  # of the sum, which the pseudo-rank counts to


@styled
def spectra(blocks, *, null=None, title="", note=""):
    """Singular values of each head over its largest one, in decreasing order.

    A dot stands on each curve where the sum has reached 95 %: its place is the head's pseudo-rank.
    A head that uses all its directions alike is a curve that stays high; one that uses few falls
    at once and has its dot on the left.

    Args:
        blocks: dict from the name of a product to a dict from a panel's title to `(heads, rank)`
            float >= 0, largest first. A head whose largest value is 0 is left out and counted.
        null: dict from the name of a product to `(rank,)` float, drawn as a dashed curve in all of
            its panels, or None.
        title: str.
        note: str. The caption's start.

    Returns:
        matplotlib `Figure`.

    Raises:
        ValueError: if there is no panel, an array is not `(heads, rank)`, or an argument is not of
            this kind.
    """
    for name, panels in labelled("blocks", blocks).items():
        labelled(f"blocks[{name!r}]", panels)
    null = {
        name: arguments.array(f"null[{name!r}]", values, "rank")
        for name, values in labelled_or_none("null", null).items()
    }
    check_texts(title=title, note=note)
    columns = min(COLUMNS, max(map(len, blocks.values())))
    heights = [-(-len(panels) // columns) for panels in blocks.values()]
    width, height = PANEL if columns > 2 else WIDE_PANEL
    size = width * columns, 1.0 + height * sum(heights)
    figure, grid = canvas(
        *size, title=f"{title}\n", rows=sum(heights), columns=columns, sharey=True
    )
    lost, top = 0, 0
    for (name, panels), height in zip(blocks.items(), heights, strict=True):
        rows = grid[top : top + height]
        for axes in rows.ravel()[len(panels) :]:
            axes.set_axis_off()
        for axes, (label, values) in zip(rows.ravel(), panels.items(), strict=False):
            heads = _heads(values, f"blocks[{name!r}][{label!r}]")
            lost += len(values) - len(heads)
            _panel(axes, heads, null.get(name))
            axes.set_title(label, fontweight="bold", fontsize=9)
        for axes in rows[:, 0]:
            axes.set_ylabel(f"{name}\nσ / largest σ", fontsize=9)
        top += height
    for column in grid.T:
        axes = [axes for axes in column if axes.axison][-1]
        axes.set_xlabel("singular value no.", fontsize=9)
    # On the title's second line: a narrow figure has no room beside it.
    below = 1 - 0.24 / size[1]
    look = {"loc": "upper left", "bbox_to_anchor": (0, below), "borderaxespad": 0}
    figure.legend(handles=_legend(null), ncols=3, **look)
    footer(figure, [note, f"{lost} heads are zero and cannot be drawn." if lost else ""])
    return figure


def _heads(values, name):
    values = arguments.array(name, values, "heads", "rank")
    return values[values[:, 0] > 0]


def _panel(axes, heads, null):
    for number, head in enumerate(heads):
        colour = CYCLE[number % len(CYCLE)]
        places = np.arange(1, len(head) + 1)
        axes.plot(places, head / head[0], color=colour, linewidth=1, alpha=0.8, gid="head")
        sums = np.cumsum(head)
        reached = int((sums < SHARE * (1 - 1e-12) * sums[-1]).sum())
        look = {"color": colour, "marker": "o", "markersize": 4, "zorder": 3, "gid": "rank"}
        axes.plot(reached + 1, head[reached] / head[0], **look)
    if null is not None:
        places = np.arange(1, len(null) + 1)
        axes.plot(places, null / null[0], color=GREY, linewidth=1.2, dashes=(4, 2), gid="null")
    axes.set_ylim(0, 1.05)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.tick_params(labelsize=8)


def _legend(null):
    handles = [
        Line2D([], [], color=CYCLE[0], linewidth=1, label="a head"),
        Line2D([], [], color=CYCLE[0], marker="o", markersize=4, linestyle="none",
               label="95 % of the sum: pseudo-rank"),
    ]  # fmt: skip
    if null:
        look = {"color": GREY, "linewidth": 1.2, "dashes": (4, 2)}
        handles.append(Line2D([], [], label="random Gaussian weights", **look))
    return handles
