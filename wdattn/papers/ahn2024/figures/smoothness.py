"""Directional smoothness along the path, and curvature against the gradient norm."""

from functools import partial

import numpy as np

from wdattn import plots
from wdattn.papers.ahn2024.experiments import ADAM, BASE, FEWER_CONTEXTS, GAMMA, NETWORK
from wdattn.papers.ahn2024.figures.panels import (
    OPTIMIZERS,
    SETTINGS,
    both,
    in_one,
    side_by_side,
    stacked,
    steps_of,
)
from wdattn.reproduction.design.paper import Figure

SHOWN_SEED = 1  # the paper's
DIRECTIONAL = {"column": "directional_smoothness", "ylabel": "Directional smoothness"}
FIRST_AND_THIRD = {"Setting 1": ADAM, "Setting 3, heavy-tailed": ADAM | GAMMA}
SECOND = {"Setting 2, 5 contexts": ADAM}


def spectral(records, note):
    """Spectral norm of the Hessian against the gradient norm: what the claims are judged on."""
    return plots.scatter_panels(
        {label: np.moveaxis(stacked(runs, "smoothness"), -1, 0) for label, runs in records.items()},
        steps_of(records, "smoothness"),
        title="Curvature against gradient norm along Adam's path",
        note=note,
    )


def along(records, note):
    """Directional smoothness against the gradient norm, one seed, as the paper draws it."""
    shown = {
        label: next((run for run in runs if run.settings.seed == SHOWN_SEED), runs[0])
        for label, runs in records.items()
    }
    seeds = sorted({run.settings.seed for run in shown.values()})
    return plots.scatter_panels(
        {label: run["smoothness_path"].T[:, None] for label, run in shown.items()},
        steps_of(records, "smoothness_path"),
        ylabel="ln directional smoothness",
        title="Directional smoothness against gradient norm along Adam's path",
        note=f"{note} Drawn: seed {', '.join(map(str, seeds))} alone.",
    )


SPECTRAL_CAPTION = (
    "Each dot is an iterate, each line a seed; a line that rises says that curvature grows with "
    "the gradient. The claims are judged on these slopes."
)
ALONG_CAPTION = (
    "The paper's own axes and seed. A dot is missing where the loss curves downward along the step."
)

FIGURES = (
    Figure(
        "directional-smoothness",
        "Directional smoothness figure, Settings 1 to 3",
        BASE,
        both(SETTINGS),
        ("directional_smoothness",),
        partial(side_by_side, **DIRECTIONAL, title="Directional smoothness"),
        "C10",
        "Curvature of the loss along each optimizer's own steps; Adam's is lower in the paper.",
        also=("C22", "C23"),
    ),
    Figure(
        "network-directional-smoothness",
        "Appendix B: directional smoothness",
        NETWORK,
        OPTIMIZERS,
        ("directional_smoothness",),
        partial(in_one, **DIRECTIONAL, title="Directional smoothness on a network's features"),
        "C19",
        "The paper: SGDM mostly above Adam, very noisy, some points negative. No claim is judged "
        "on it.",
    ),
    Figure(
        "smoothness",
        "Generalised smoothness, Settings 1 and 3: spectral norm",
        BASE,
        FIRST_AND_THIRD,
        ("smoothness",),
        spectral,
        "C11",
        SPECTRAL_CAPTION,
        also=("C25",),
    ),
    Figure(
        "smoothness-fewer-contexts",
        "Generalised smoothness, Setting 2: spectral norm",
        FEWER_CONTEXTS,
        SECOND,
        ("smoothness",),
        spectral,
        "C24",
        SPECTRAL_CAPTION,
    ),
    Figure(
        "smoothness-path",
        "Generalised smoothness figure, Settings 1 and 3",
        BASE,
        FIRST_AND_THIRD,
        ("smoothness_path",),
        along,
        "C11",
        ALONG_CAPTION,
        also=("C25",),
    ),
    Figure(
        "smoothness-path-fewer-contexts",
        "Generalised smoothness figure, Setting 2",
        FEWER_CONTEXTS,
        SECOND,
        ("smoothness_path",),
        along,
        "C24",
        ALONG_CAPTION,
    ),
)
