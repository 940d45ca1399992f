"""One style for every figure: readable at 100 dpi, in grayscale and without colour vision."""

import functools
import io
import textwrap

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from PIL import Image

from wdattn import arguments
from wdattn.plots import words
from wdattn.plots.series import check_texts, labelled_or_none

BLACK, RED, GREY, PALE = "#000000", "#d62f1f", "#5a5a5a", "#d9d9d9"
# Okabe and Ito's colours, ordered so that neighbours differ in lightness too.
CYCLE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#7a4b1e")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))
OPTIMIZERS = {"sgd": BLACK, "sgdm": BLACK, "adam": RED}  # as the papers draw them
VERDICT_COLOURS = {
    "reproduced": "#00704f",
    "contradicted": "#c0392b",
    "inconclusive": "#9a6700",
    "not judged": "#6e6e6e",
}
WIDTH = 7.2  # inches, one column of a report at 100 dpi
PANELS_WIDTH = 9.6  # of several panels side by side
STYLE = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same picture on every machine
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "#222222",
    "ytick.labelcolor": "#222222",
    "lines.linewidth": 1.7,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.dpi": 100,
    "figure.facecolor": "white",
}


def styled(draw):
    """Run a drawing function in the style, whatever the user's own matplotlib settings are."""

    @functools.wraps(draw)
    def drawn(*args, **kwargs):
        with matplotlib.style.context(STYLE, after_reset=True):
            figure = draw(*args, **kwargs)
            # Ticks are made at the first drawing and would take the settings of that moment.
            figure.draw_without_rendering()
        return figure

    return drawn


class Picture(Figure):
    """A figure that a notebook shows, also where pyplot is not loaded."""

    def _repr_png_(self):
        # Twice the pixels, shown at their natural size: sharp on every screen.
        width, height = (round(100 * inches) for inches in self.get_size_inches())
        return png(self, dpi=200), {"width": width, "height": height}


def canvas(width=WIDTH, height=4.2, title="", rows=1, columns=1, **grid):
    """A figure with left-aligned title and a grid of axes, `(rows, columns)`."""
    figure = Picture(figsize=(width, height), layout="constrained")
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return figure, figure.subplots(rows, columns, squeeze=False, **grid)


def footer_lines(notes, width):
    """The notes that are not empty as lines that fit into `width` inches."""
    text = " ".join(note.strip() for note in notes if note and note.strip())
    return textwrap.wrap(text, int(width * 15.6))


def footer(figure, notes):
    """Write the caption below the axes."""
    if lines := footer_lines(notes, figure.get_figwidth()):
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=8.5, color=GREY)


def caption(scale, backend, seeds, text=""):
    """The line below a figure of ours that says where it comes from.

    Args:
        scale: str. Name of the scale: "smoke", "laptop", "paper".
        backend: str, or a sequence of them.
        seeds: sequence of int.
        text: str. Anything else the reader must know, as one or more sentences.

    Returns:
        str, for the argument `note` of the drawing functions.

    Raises:
        ValueError: if an argument is not of this kind.

    Examples:
        >>> caption("laptop", "jax", range(6))
        'Measured by wdattn: laptop scale, jax, seeds 0–5.'
    """
    check_texts(scale=scale, text=text)
    try:
        backends = [backend] if isinstance(backend, str) else [*backend]
    except TypeError:
        backends = []
    if not backends or not all(isinstance(name, str) for name in backends):
        raise ValueError(f"`backend` must be a name or several, got {backend!r}")
    backend = " + ".join(backends)
    seeds = arguments.integers("seeds", seeds)
    where = f"Measured by wdattn: {scale} scale, {backend}, seeds {words.seeds(seeds)}."
    return f"{where} {text}".strip()


def looks(labels, colors=None):
    """Colour and dash of each label.

    SGDM (or SGD) is black and Adam red as in the papers, by the label's first word; other labels
    take a colour-blind-safe cycle. A colour that comes again comes with another dash.

    Args:
        labels: iterable of str.
        colors: dict from label to colour, or None. Overrides.

    Returns:
        dict from label to `(colour, dash)`.
    """
    colors = labelled_or_none("colors", colors)
    result: dict = {}
    used: list = []
    free = iter(CYCLE * 9)
    for label in labels:
        first = label.split()[0].strip(",:;").lower() if label.split() else ""
        colour = colors.get(label) or OPTIMIZERS.get(first) or next(free)
        result[label] = colour, DASHES[used.count(colour) % len(DASHES)]
        used.append(colour)
    return result


def apart(heights, gap):
    """Move heights in [0, 1] as little as needed to be `gap` apart, in their order."""
    order = np.argsort(heights, kind="stable")
    moved = np.clip(np.asarray(heights, float)[order], 0, 1)
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    if len(moved) and moved[-1] > 1:
        moved[-1] = 1.0
        for i in range(len(moved) - 2, -1, -1):
            moved[i] = min(moved[i], moved[i + 1] - gap)
    result = np.empty(len(moved))
    result[order] = moved
    return result


def label_ends(axes, ends, **look):
    """Write each curve's label to the right of the axes, at the height where the curve ends.

    Args:
        axes: matplotlib axes whose curves are drawn; its vertical limits are frozen.
        ends: list of `(label, colour, y)`, y in data units.
        **look: properties of the text, bold unless told.
    """
    axes.set_ylim(axes.get_ylim())
    to_axes = axes.transScale + axes.transLimits
    heights = [to_axes.transform((axes.get_xlim()[1], y))[1] for _, _, y in ends]
    gap = 0.18 / (axes.get_position().height * axes.figure.get_figheight())
    for (label, colour, _), height in zip(ends, apart(heights, gap), strict=True):
        axes.annotate(
            label,
            (1, height),
            xytext=(5, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            annotation_clip=False,
            **{"color": colour, "fontweight": "bold"} | look,
        )


def log_ticks(axes):
    """Ticks of a log axis that can be read: round numbers, or powers of ten over many decades."""
    low, high = axes.get_ylim()
    decades = np.log10(high / low)
    if decades >= 4:
        return  # matplotlib's own powers of ten
    subs = (1, 1.5, 2, 3, 4, 6, 8) if decades < 1 else (1, 2, 5) if decades < 2 else (1, 3)
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=20))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def rug(axes, steps, colour, level):
    """Ticks along the bottom of the axes where a point cannot be drawn; `level` counts the rows."""
    axes.plot(
        steps,
        np.full(len(steps), 0.015 + 0.03 * level),
        transform=axes.get_xaxis_transform(),
        linestyle="none",
        marker="v",
        markersize=4,
        color=colour,
        gid="rug",
    )


def png(figure, dpi=150):
    """A figure as the bytes of a PNG of 256 colours, the same for the same figure.

    Args:
        figure: matplotlib Figure.
        dpi: float > 0. Dots per inch.

    Returns:
        bytes.

    Raises:
        ValueError: if an argument is not of this kind.
    """
    if not isinstance(figure, Figure):
        raise ValueError(f"`figure` must be a matplotlib Figure, got {figure!r}")
    dpi = arguments.real("dpi", dpi, above=0)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return _with_palette(Image.open(buffer).convert("RGB"))


def shrunk(png, share):
    """A PNG of a figure made smaller, much faster than drawing it again.

    Args:
        png: bytes, as `png` gives them.
        share: float in (0, 1]. New width over old width.

    Returns:
        bytes.

    Raises:
        ValueError: if an argument is not of this kind.
    """
    share = arguments.real("share", share, above=0, most=1)
    try:
        picture = Image.open(io.BytesIO(png)).convert("RGB")
    except (OSError, TypeError) as error:
        raise ValueError(f"`png` must be the bytes of a picture, got {png!r:.60}") from error
    size = [max(1, round(share * pixels)) for pixels in picture.size]
    return _with_palette(picture.resize(size, Image.Resampling.LANCZOS))


def _with_palette(picture):
    """The bytes of a PNG of 256 colours: three to four times smaller, and no eye sees it."""
    picture = picture.quantize(256, Image.Quantize.FASTOCTREE)
    # The palette's colours are averages: white would come out as a very light grey.
    picture.putpalette([255 if level > 251 else level for level in picture.getpalette()])
    result = io.BytesIO()
    picture.save(result, format="png")
    return result.getvalue()
