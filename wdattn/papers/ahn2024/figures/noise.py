"""Norms of the gradient noise at initialisation, beside a Gaussian with the same covariance."""

from functools import partial

from wdattn import plots
from wdattn.papers.ahn2024.experiments import DEPTH_NOISE, LARGE_NOISE, NETWORK_NOISE, NOISE
from wdattn.papers.ahn2024.figures.panels import (
    ALL_DEPTHS,
    COVARIATES,
    DEPTHS,
    SETTINGS,
    apart,
    by_panel,
)
from wdattn.reproduction.design.paper import Figure

COLUMNS = ("noise",)
OUTLINE = "The outline is a Gaussian vector with the same covariance: a norm is skewed even then."


def panels(records, note, *, title):
    """A column an arm: the bulk above, the whole tail as log counts below."""
    norms = {panel: own["noise"][:, 0] for panel, own in by_panel(records, "noise").items()}
    return plots.histogram(
        {label: own[:, 0] for label, own in norms.items()},
        matched={label: own[:, 1] for label, own in norms.items()},
        title=title,
        note=note,
    )


def network(records, note):
    """One initialisation, as in the paper: those of others differ in the size of the norms."""
    ((first, *others),) = records.values()
    shown = f"Drawn: seed {first.settings.seed} alone." if others else ""
    own, matched = first["noise"][0]
    return plots.quantiles(
        own,
        matched=matched,
        title="Gradient noise on a network's features",
        note=f"{note} {shown}",
    )


DEPTH_TITLE = "Gradient noise at initialisation by depth"
DEPTH_CAPTION = f"The paper: a heavier tail for L = 6 and 8 than for 2 and 4. {OUTLINE}"

FIGURES = (
    Figure(
        "noise",
        "Noise figure, Settings 1 to 3",
        NOISE,
        apart(SETTINGS),
        COLUMNS,
        partial(panels, title="Gradient noise at initialisation"),
        "C4",
        "The authors' histogram of Setting 1, batches of 1000, has its mode near 2.1 and runs from "
        f"about 1 to 5; smaller batches make the norms larger and their tail heavier. {OUTLINE}",
    ),
    Figure(
        "covariates-noise",
        "Covariates: noise",
        NOISE,
        apart(COVARIATES),
        COLUMNS,
        partial(panels, title="Gradient noise with spherical and heavy-tailed covariates"),
        "C5",
        OUTLINE,
    ),
    Figure(
        "depth-noise",
        "Depth: noise",
        DEPTH_NOISE,
        apart(DEPTHS),
        COLUMNS,
        partial(panels, title=DEPTH_TITLE),
        "C16",
        DEPTH_CAPTION,
        scales=("smoke", "laptop"),
    ),
    Figure(
        "depth-noise-paper",
        "Depth: noise",
        DEPTH_NOISE,
        apart(ALL_DEPTHS),
        COLUMNS,
        partial(panels, title=DEPTH_TITLE),
        "C16",
        DEPTH_CAPTION,
        scales=("paper",),
    ),
    Figure(
        "network-noise",
        "Appendix B: noise",
        NETWORK_NOISE,
        {"network": {}},
        COLUMNS,
        network,
        "C21",
        "The paper reads heavy tails off the upward bend of the quantiles. Few directions carry "
        "this noise, so the norm of the matched Gaussian bends upward too: what counts is how much "
        "further the noise bends.",
    ),
    Figure(
        "large-noise",
        "Larger model figure: noise",
        LARGE_NOISE,
        apart({"L = 8, d = 20, n = 60": {}}),
        COLUMNS,
        partial(panels, title="Gradient noise, larger model"),
        caption=OUTLINE,
    ),
)
