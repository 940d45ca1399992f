"""Appendix B: the same with a ReLU network before the regression (its noise is C21)."""

from math import log

from wdattn.papers.ahn2024.claims.curvature import ADAM_TWICE
from wdattn.papers.ahn2024.claims.loss import SGDM_TWICE
from wdattn.papers.ahn2024.claims.sources import OURS
from wdattn.papers.ahn2024.experiments import ADAM, NETWORK, SGDM
from wdattn.papers.ahn2024.reductions import condition, end_loss
from wdattn.reproduction.design.claim import Claim, Inside
from wdattn.reproduction.design.effect import difference

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
    remark="Weak at laptop scale: three prototype seeds gave ratios from 0.4 to 1.4 at iteration "
    "750. A fair test needs the paper's batch of 2000 and five seeds.",
)

CLAIMS = (C19, C20)
