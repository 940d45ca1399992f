"""Appendix B: the same with a ReLU network before the regression."""

from math import log

from wdattn.ledger.curve_figures import curve_figure
from wdattn.papers.ahn2024.arms import ADAM, ADAM_TWICE, OPTIMIZERS, OURS, SGDM, SGDM_TWICE
from wdattn.papers.ahn2024.condition_figures import LOOKS, ratios
from wdattn.papers.ahn2024.experiments import NETWORK, NOISE, condition, end_loss, excess_tail
from wdattn.reproduction.design.claim import Claim, Control, Inside
from wdattn.reproduction.design.effect import difference, single
from wdattn.reproduction.design.experiment import Scale
from wdattn.reproduction.design.paper import Figure

NETWORK_NOISE = NOISE.vary(
    "network-noise",
    {"covariates": "network", "batch": 2000, "noise_batches": 100_000},
    laptop=Scale(8, {"batch": 256, "noise_batches": 3000}),
    paper=Scale(8, {"noise_batches": 10_000}),
    source="Ahn et al. (2024), Appendix B, noise histogram with a normal QQ inset",
    expects="a histogram that is skewed to the right, and a QQ curve above the line at its end",
    notes={
        "paper": "the noise vectors of all batches would take 4 GB; 8 initialisations instead of "
        "1, so that there is an interval"
    },
    cost={"smoke": 0.5, "laptop": 10.0, "paper": 300.0},
)

C19 = Claim(
    "C19",
    NETWORK,
    "With a ReLU network before the regression Adam reaches a lower loss than SGD with momentum.",
    Inside(difference(end_loss, SGDM, minus=ADAM), low=log(2)),
    control=SGDM_TWICE,
    source="Ahn et al. (2024), Appendix B, loss figure",
    expects="SGD with momentum at a log loss of about -4.7 and Adam at about -7 to -8 at iteration "
    "10 000 (read off the authors' notebook plot)",
    threshold_source="a factor of 2 against the authors' e^2.5 or so; " + OURS,
    remark="With a batch of 256 and 1300 steps the gap is far smaller than the paper's.",
)
C20 = Claim(
    "C20",
    NETWORK,
    "With a ReLU network the robust condition number is larger along SGD's path than along Adam's.",
    Inside(difference(condition, SGDM, minus=ADAM), low=log(1.44)),
    control=ADAM_TWICE,
    source="Ahn et al. (2024), Appendix B, condition number figure",
    expects="ratio SGD to Adam 5.41 (sd 3.96) at iteration 750 and 6.61 (2.54) at 1250",
    threshold_source="the lowest mean minus standard deviation that the authors found, 5.41 - 3.96",
    remark="Weak at laptop scale: with a batch of 256 three prototype seeds gave ratios from 0.4 "
    "to 1.4 at iteration 750. A fair test needs the paper's batch of 2000 too.",
)
C21 = Claim(
    "C21",
    NETWORK_NOISE,
    "With a ReLU network before the regression, gradient noise is heavier-tailed than Gaussian.",
    Inside(single(excess_tail, {}), low=log(1.05)),
    control=Control({"gaussian": True}),
    source="Ahn et al. (2024), Appendix B, noise histogram with a normal QQ inset",
    expects="a picture: skewed to the right, the QQ curve above the line at its right end",
    threshold_source=OURS,
    minimum_seeds=8,
    remark="Near the edge in prototypes. This noise lives in two to four directions, so even the "
    "matched Gaussian's norm is skewed: the upward bend of the QQ curve is by itself no evidence.",
)


def quantiles(records, note):
    """One initialisation, as in the paper: those of others differ in the size of the norms."""
    from wdattn import plots

    ((first, *others),) = records.values()
    shown = f"Drawn: seed {first.settings.seed} alone." if others else ""
    own, matched = first["noise"][0]
    return plots.quantiles(
        own,
        matched=matched,
        title="Gradient noise on a network's features",
        note=f"{note} {shown}",
    )


CLAIMS = (C19, C20, C21)
FIGURES = (
    curve_figure(
        "network-loss",
        "Appendix B: loss",
        NETWORK,
        OPTIMIZERS,
        "evaluation_loss",
        heading="Regression on a network's features",
        ylabel="Loss on a fixed batch",
        band="log sd/2",
        claim="C19",
        caption="Mean of the logarithms with half a standard deviation, as the paper draws it. The "
        "authors' plot, batches of 2000: SGDM at about exp(−4.2) = 0.015 by 2000 and exp(−4.7) = "
        "0.009 at 10 000, Adam spiky between exp(−7) and exp(−8), about 0.0003 to 0.0009.",
    ),
    ratios(
        "network-condition",
        "Appendix B: robust condition number at two times",
        NETWORK,
        {"Appendix B": {}},
        heading="Robust condition number on a network's features",
        claim="C20",
        threshold=1.44,
    ),
    curve_figure(
        "network-condition-path",
        "Appendix B: robust condition number along the paths",
        NETWORK,
        OPTIMIZERS,
        "condition_path",
        heading="Robust condition number on a network's features",
        **LOOKS,
        claim="C20",
        caption="The paper: SGDM above Adam until about iteration 7500, then crossing.",
        scales=("paper",),
    ),
    curve_figure(
        "network-directional-smoothness",
        "Appendix B: directional smoothness",
        NETWORK,
        OPTIMIZERS,
        "directional_smoothness",
        heading="Directional smoothness on a network's features",
        ylabel="Directional smoothness",
        claim="C19",
        caption="The paper: SGDM mostly above Adam, very noisy, some points negative. No claim is "
        "judged on it.",
    ),
    Figure(
        "network-noise",
        "Appendix B: noise",
        NETWORK_NOISE,
        {"network": {}},
        ("noise",),
        quantiles,
        "C21",
        "The paper reads heavy tails off the upward bend of the quantiles. Few directions carry "
        "this noise, so the norm of the matched Gaussian bends upward too: what counts is how much "
        "further the noise bends.",
    ),
)
