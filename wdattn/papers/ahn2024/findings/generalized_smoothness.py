"""Curvature grows with the gradient norm along Adam's path, in three settings."""

import numpy as np

from wdattn.ledger.curve_figures import stacked, steps_of
from wdattn.papers.ahn2024.arms import ADAM, GAMMA, ONE_LAYER, OURS
from wdattn.papers.ahn2024.experiments import BASE, FEWER_CONTEXTS
from wdattn.reproduction.design.claim import Claim, Inside
from wdattn.reproduction.design.effect import single
from wdattn.reproduction.design.paper import Figure
from wdattn.reproduction.design.reductions import reads
from wdattn.reproduction.judge.statistics import least_squares_slope

PICTURE = "a picture: log smoothness rises with log gradient norm, to a certain extent"
SHOWN_SEED = 1  # the paper's
FIRST_AND_THIRD = {"Setting 1": ADAM, "Setting 3, heavy-tailed": ADAM | GAMMA}
SECOND = {"Setting 2, 5 contexts": ADAM}


@reads("smoothness")
def smoothness_slope(run):
    """Least-squares slope of log spectral norm of the Hessian on log gradient norm."""
    gradient_norm, spectral_norm = run["smoothness"].T
    return least_squares_slope(np.log(gradient_norm), np.log(spectral_norm))


def grows(number, experiment, arm, sentence, setting):
    """The claim that the slope is positive along Adam's path."""
    return Claim(
        number,
        experiment,
        sentence,
        Inside(single(smoothness_slope, arm, unit="slope"), low=0.2),
        control=ONE_LAYER,
        source=f"Ahn et al. (2024), generalised smoothness figure, {setting}",
        expects=PICTURE,
        threshold_source=OURS,
    )


def spectral(records, note):
    """Spectral norm of the Hessian against the gradient norm: what the claims are judged on."""
    from wdattn import plots

    return plots.scatter_panels(
        {label: np.moveaxis(stacked(runs, "smoothness"), -1, 0) for label, runs in records.items()},
        steps_of(records, "smoothness"),
        title="Curvature against gradient norm along Adam's path",
        note=note,
    )


def along(records, note):
    """Directional smoothness against the gradient norm, one seed, as the paper draws it."""
    from wdattn import plots

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

CLAIMS = (
    grows("C11", BASE, ADAM, "The curvature grows with the gradient norm along Adam's path.",
          "Setting 1"),
    grows("C24", FEWER_CONTEXTS, ADAM,
          "With fewer context tokens (n = 5) the curvature grows with the gradient norm.",
          "Setting 2"),
    grows("C25", BASE, GAMMA | ADAM,
          "With heavy-tailed covariates the curvature grows with the gradient norm.", "Setting 3"),
)  # fmt: skip
FIGURES = (
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
