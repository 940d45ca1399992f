"""Gradient noise at initialisation is heavy-tailed, the more so with heavy-tailed covariates."""

from math import log

from wdattn.papers.ahn2024.claims.sources import OURS
from wdattn.papers.ahn2024.experiments import (
    DEPTH_NOISE,
    GAMMA,
    NETWORK_NOISE,
    NOISE,
    SPHERE,
)
from wdattn.papers.ahn2024.reductions import excess_tail, noise_tail
from wdattn.reproduction.design.claim import Claim, Control, Inside
from wdattn.reproduction.design.effect import difference, single

GAUSSIAN = Control({"gaussian": True})
DEEP, SHALLOW = {"layers": 8}, {"layers": 2}

C4 = Claim(
    "C4",
    NOISE,
    "Gradient noise at initialisation is heavier-tailed than Gaussian noise.",
    Inside(single(excess_tail, {}), low=log(1.05)),
    control=GAUSSIAN,
    source="Ahn et al. (2024), noise figure, Setting 1",
    expects="a picture: a histogram of ‖gradient error‖ with a long right tail",
    threshold_source=OURS,
    remark="A norm is skewed even for Gaussian noise, so the tail is held against that of Gaussian "
    "vectors with the same covariance. Prototypes at the paper's batch of 1000 found only about "
    "×1.13: most of the asymmetry of the paper's histogram is what any norm has.",
)
C5 = Claim(
    "C5",
    NOISE,
    "Heavier-tailed covariates give heavier-tailed gradient noise.",
    Inside(difference(noise_tail, GAMMA, minus=SPHERE), low=log(1.5)),
    control=Control(SPHERE | {"stream": 1}, of=GAMMA),
    source="Ahn et al. (2024), Section 4.1, noise histograms for spherical and heavy-tailed "
    "covariates",
    expects="a picture: a much longer right tail with heavy-tailed covariates",
    threshold_source=OURS,
)
C16 = Claim(
    "C16",
    DEPTH_NOISE,
    "Gradient noise is heavier-tailed at 8 layers than at 2.",
    Inside(difference(noise_tail, DEEP, minus=SHALLOW), low=log(1.05)),
    control=Control(SHALLOW | {"stream": 1}, of=DEEP),
    source="Ahn et al. (2024), Section 4.2, noise histograms",
    expects="a picture: the noise of L = 6 and 8 heavier than that of L = 2 and 4",
    threshold_source=OURS,
    minimum_seeds=8,
    beside={
        "8 layers, tail over that of the matched Gaussian": single(excess_tail, DEEP),
        "2 layers, tail over that of the matched Gaussian": single(excess_tail, SHALLOW),
    },
    remark="Near the edge in prototypes. Where the tail grows with depth but its ratio to the "
    "matched Gaussian's does not, the cause is a more anisotropic covariance and not noise that "
    "is less Gaussian.",
)
C21 = Claim(
    "C21",
    NETWORK_NOISE,
    "With a ReLU network before the regression, gradient noise is heavier-tailed than Gaussian.",
    Inside(single(excess_tail, {}), low=log(1.05)),
    control=GAUSSIAN,
    source="Ahn et al. (2024), Appendix B, noise histogram with a normal QQ inset",
    expects="a picture: skewed to the right, the QQ curve above the line at its right end",
    threshold_source=OURS,
    minimum_seeds=8,
    remark="Near the edge in prototypes. This noise lives in two to four directions, so even the "
    "matched Gaussian's norm is skewed: the upward bend of the QQ curve is by itself no evidence.",
)

CLAIMS = (C4, C5, C16, C21)
