"""The robust condition number is larger along SGD's path than along Adam's, in three settings."""

from math import log

from wdattn.papers.ahn2024.arms import ADAM, ADAM_TWICE, GAMMA, LOWEST, SGDM
from wdattn.papers.ahn2024.condition_figures import ABOVE, ratios
from wdattn.papers.ahn2024.experiments import BASE, FEWER_CONTEXTS, condition
from wdattn.reproduction.design.claim import Claim, Inside
from wdattn.reproduction.design.effect import difference

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

CLAIMS = (C6, C7, C8)
FIGURES = (
    ratios(
        "condition",
        "Table of robust condition numbers, Settings 1 and 3",
        BASE,
        {"Setting 1": {}, "Setting 3": GAMMA},
        heading="Robust condition number, Settings 1 and 3",
        claim="C6",
        threshold=1.17,
        also=("C8",),
    ),
    ratios(
        "condition-fewer-contexts",
        "Table of robust condition numbers, Setting 2",
        FEWER_CONTEXTS,
        {"Setting 2": {}},
        heading="Robust condition number, Setting 2",
        claim="C7",
        caption=f"{ABOVE} Batches of 1000 at every scale but smoke.",
        threshold=1.17,
    ),
)
