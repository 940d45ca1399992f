"""Curvature along the path: condition number, directional and generalised smoothness."""

from math import log

from wdattn.papers.ahn2024.claims.loss import SGDM_TWICE
from wdattn.papers.ahn2024.claims.sources import LOWEST, OURS
from wdattn.papers.ahn2024.experiments import ADAM, BASE, FEWER, FEWER_CONTEXTS, GAMMA, SGDM
from wdattn.papers.ahn2024.reductions import condition, directional_smoothness, smoothness_slope
from wdattn.reproduction.design.claim import Claim, Control, Inside
from wdattn.reproduction.design.effect import difference, single

ADAM_TWICE = Control(ADAM | {"stream": 1}, of=SGDM)
ONE_LAYER = Control({"layers": 1})
DIRECTIONAL_PICTURE = "a picture: Adam's curve below that of SGD with momentum on a log scale"
SMOOTHNESS_PICTURE = "a picture: log smoothness rises with log gradient norm, to a certain extent"

C6 = Claim(
    "C6",
    BASE,
    "The robust condition number is larger along SGD's path than along Adam's.",
    Inside(difference(condition, SGDM, minus=ADAM), low=log(1.17)),
    control=ADAM_TWICE,
    source="Ahn et al. (2024), table of robust condition numbers, Setting 1",
    expects="ratio SGD to Adam 1.76 (sd 0.40) at iteration 750 and 1.58 (0.41) at 1250",
    threshold_source=LOWEST,
    remark="The gap belongs to the first 1500 steps or so; in the authors' own plot the curves "
    "meet there.",
)
C7 = Claim(
    "C7",
    FEWER_CONTEXTS,
    "With fewer context tokens (n = 5) the robust condition number is larger along SGD's path.",
    Inside(difference(condition, SGDM, minus=ADAM), low=log(1.17)),
    control=ADAM_TWICE,
    source="Ahn et al. (2024), table of robust condition numbers, Setting 2",
    expects="ratio SGD to Adam 3.14 (sd 0.97) at iteration 750 and 5.98 (2.86) at 1250",
    threshold_source=LOWEST,
    remark="True at the paper's two times, not throughout: prototypes found the ratio below 1 at "
    "iterations 250, 500, 1500 and 2000. At a batch of 256 it does not show.",
)
C8 = Claim(
    "C8",
    BASE,
    "With heavy-tailed covariates the robust condition number is larger along SGD's path.",
    Inside(difference(condition, GAMMA | SGDM, minus=GAMMA | ADAM), low=log(1.17)),
    control=ADAM_TWICE,
    source="Ahn et al. (2024), table of robust condition numbers, Setting 3",
    expects="ratio SGD to Adam 9.57 (sd 13.3) at iteration 750 and 6.53 (3.55) at 1250",
    threshold_source=LOWEST,
    remark="Near the edge with six seeds: prototypes with other draws stayed inconclusive, the "
    "paper's own ratio varies by more than its mean, and the number depends on the evaluation "
    "batch.",
)
C10 = Claim(
    "C10",
    BASE,
    "The directional smoothness is lower along Adam's path.",
    Inside(difference(directional_smoothness, SGDM, minus=ADAM), low=log(2)),
    control=ONE_LAYER,
    source="Ahn et al. (2024), directional smoothness figure, Setting 1",
    expects=DIRECTIONAL_PICTURE,
    threshold_source=OURS,
)
C11 = Claim(
    "C11",
    BASE,
    "The curvature grows with the gradient norm along Adam's path.",
    Inside(single(smoothness_slope, ADAM, unit="slope"), low=0.2),
    control=ONE_LAYER,
    source="Ahn et al. (2024), generalised smoothness figure, Setting 1",
    expects=SMOOTHNESS_PICTURE,
    threshold_source=OURS,
)
C22 = Claim(
    "C22",
    BASE,
    "With fewer context tokens (n = 5) the directional smoothness is lower along Adam's path.",
    Inside(difference(directional_smoothness, FEWER | SGDM, minus=FEWER | ADAM), low=log(1.1)),
    control=SGDM_TWICE,
    source="Ahn et al. (2024), directional smoothness figure, Setting 2",
    expects=DIRECTIONAL_PICTURE,
    threshold_source=OURS,
    remark="Holds in the first 1250 iterations; prototypes at the paper's batch saw the order "
    "reverse after 5000.",
)
C23 = Claim(
    "C23",
    BASE,
    "With heavy-tailed covariates the directional smoothness is lower along Adam's path.",
    Inside(difference(directional_smoothness, GAMMA | SGDM, minus=GAMMA | ADAM), low=log(1.1)),
    control=SGDM_TWICE,
    source="Ahn et al. (2024), directional smoothness figure, Setting 3",
    expects=DIRECTIONAL_PICTURE,
    threshold_source=OURS,
)
C24 = Claim(
    "C24",
    FEWER_CONTEXTS,
    "With fewer context tokens (n = 5) the curvature grows with the gradient norm.",
    Inside(single(smoothness_slope, ADAM, unit="slope"), low=0.2),
    control=ONE_LAYER,
    source="Ahn et al. (2024), generalised smoothness figure, Setting 2",
    expects=SMOOTHNESS_PICTURE,
    threshold_source=OURS,
)
C25 = Claim(
    "C25",
    BASE,
    "With heavy-tailed covariates the curvature grows with the gradient norm.",
    Inside(single(smoothness_slope, GAMMA | ADAM, unit="slope"), low=0.2),
    control=ONE_LAYER,
    source="Ahn et al. (2024), generalised smoothness figure, Setting 3",
    expects=SMOOTHNESS_PICTURE,
    threshold_source=OURS,
)

CLAIMS = (C6, C7, C8, C10, C11, C22, C23, C24, C25)
