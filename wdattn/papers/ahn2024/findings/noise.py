"""Gradient noise at initialisation is heavier-tailed than Gaussian noise."""

from math import log

from wdattn.papers.ahn2024.arms import OURS, SETTINGS
from wdattn.papers.ahn2024.experiments import NOISE, excess_tail
from wdattn.papers.ahn2024.noise_figures import OUTLINE, histograms
from wdattn.reproduction.design.claim import Claim, Control, Inside
from wdattn.reproduction.design.effect import single

C4 = Claim(
    "C4",
    NOISE,
    "Gradient noise at initialisation is heavier-tailed than Gaussian noise.",
    Inside(single(excess_tail, {}), low=log(1.05)),
    control=Control({"gaussian": True}),
    source="Ahn et al. (2024), noise figure, Setting 1",
    expects="a picture: a histogram of ‖gradient error‖ with a long right tail",
    threshold_source=OURS,
    remark="A norm is skewed even for Gaussian noise, so the tail is held against that of Gaussian "
    "vectors with the same covariance. Prototypes at the paper's batch of 1000 found only about "
    "×1.13: most of the asymmetry of the paper's histogram is what any norm has.",
)

CLAIMS = (C4,)
FIGURES = (
    histograms(
        "noise",
        "Noise figure, Settings 1 to 3",
        NOISE,
        SETTINGS,
        heading="Gradient noise at initialisation",
        claim="C4",
        caption="The authors' histogram of Setting 1, batches of 1000, has its mode near 2.1 and "
        "runs from about 1 to 5; smaller batches make the norms larger and their tail heavier. "
        + OUTLINE,
    ),
)
