"""Adam reaches a lower loss than SGD with momentum; linear attention a lower one than softmax."""

from math import log

from wdattn.papers.ahn2024.claims.sources import OURS
from wdattn.papers.ahn2024.experiments import (
    ADAM,
    BASE,
    FEWER,
    GAMMA,
    LINEAR_ATTENTION,
    SGDM,
    SOFTMAX,
    SOFTMAX_ATTENTION,
)
from wdattn.papers.ahn2024.reductions import end_loss
from wdattn.reproduction.design.claim import Claim, Control, Inside
from wdattn.reproduction.design.effect import difference

SGDM_TWICE = Control(SGDM | {"stream": 1}, of=ADAM)
GAP_PICTURE = (
    'a picture: Adam below SGD with momentum, "to different extents" in the three settings'
)

C1 = Claim(
    "C1",
    BASE,
    "Adam reaches a much lower loss than SGD with momentum.",
    Inside(difference(end_loss, SGDM, minus=ADAM), low=log(2)),
    control=Control({"layers": 1}),
    source="Ahn et al. (2024), gap figure, Setting 1",
    expects="Adam about 15 times lower at iteration 1250 and about 5 times lower at 10 000 (read "
    "off the authors' notebook plot)",
    threshold_source="a factor of 2 against the authors' 5 to 15; " + OURS,
)
C2 = Claim(
    "C2",
    BASE,
    "With fewer context tokens (n = 5) Adam still reaches a lower loss than SGD with momentum.",
    Inside(difference(end_loss, FEWER | SGDM, minus=FEWER | ADAM), low=log(1.05)),
    control=SGDM_TWICE,
    source="Ahn et al. (2024), gap figure, Setting 2",
    expects=GAP_PICTURE,
    threshold_source=OURS,
    remark="The effect is small at this scale, and early in training Adam is behind: it is "
    "measured at the end only. Medians over steps are compared, since a single prompt with large "
    "covariates can make a batch's mean loss explode.",
)
C3 = Claim(
    "C3",
    BASE,
    "With heavy-tailed covariates Adam reaches a lower loss than SGD with momentum.",
    Inside(difference(end_loss, GAMMA | SGDM, minus=GAMMA | ADAM), low=log(1.2)),
    control=SGDM_TWICE,
    source="Ahn et al. (2024), gap figure, Setting 3",
    expects=GAP_PICTURE,
    threshold_source=OURS,
    remark="In the mean over prompts, which outliers rule, Adam can look far worse than SGD at "
    "the same iterates; the claim compares medians over steps.",
)
C18 = Claim(
    "C18",
    SOFTMAX,
    "Linear attention trains to a much lower loss than softmax attention.",
    Inside(
        difference(end_loss, SOFTMAX_ATTENTION | ADAM, minus=LINEAR_ATTENTION | ADAM), low=log(2)
    ),
    control=Control(LINEAR_ATTENTION | {"stream": 1}, of=SOFTMAX_ATTENTION),
    source="Ahn et al. (2024), softmax figure",
    expects="a picture: linear attention's log loss falls much faster",
    threshold_source=OURS,
    remark="Overstated by construction: rows of softmax scores sum to one, and with the 1/n that "
    "the authors' notebook keeps, a layer can move the query's label by at most about a mean "
    "label over n.",
)

CLAIMS = (C1, C2, C3, C18)
