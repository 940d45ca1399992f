"""What changes with the number of layers; the rates are the best of a grid for each arm."""

from math import log

from wdattn.papers.ahn2024.claims.sources import LOWEST, OURS
from wdattn.papers.ahn2024.experiments import ADAM, DEPTH, SGDM
from wdattn.papers.ahn2024.reductions import condition, end_loss
from wdattn.reproduction.claim import AllOf, Claim, Inside, instead
from wdattn.reproduction.effect import contrast, difference

DEEP, MIDDLE, SHALLOW = {"layers": 8}, {"layers": 4}, {"layers": 2}
NO_DEPTH = instead(SHALLOW | {"stream": 1}, of=(DEEP, MIDDLE))

C14 = Claim(
    "C14",
    DEPTH,
    "The loss gap grows with depth: it is larger at 8 layers than at 2.",
    Inside(
        contrast(
            end_loss,
            (1, DEEP | SGDM),
            (-1, DEEP | ADAM),
            (-1, SHALLOW | SGDM),
            (1, SHALLOW | ADAM),
        ),
        low=log(1.5),
    ),
    control=NO_DEPTH,
    source="Ahn et al. (2024), Section 4.2, loss figure",
    expects="a picture: the gap grows with L = 2, 4, 6, 8",
    threshold_source=OURS,
)
C15 = Claim(
    "C15",
    DEPTH,
    "Both losses fall with depth.",
    AllOf(
        tuple(
            Inside(difference(end_loss, of=SHALLOW | arm, to=DEEP | arm), low=log(1.2), label=name)
            for name, arm in (("SGDM", SGDM), ("Adam", ADAM))
        )
    ),
    control=NO_DEPTH,
    source="Ahn et al. (2024), Section 4.2, loss figure",
    expects="a picture: both losses fall with L = 2, 4, 6, 8",
    threshold_source=OURS,
)
C17 = Claim(
    "C17",
    DEPTH,
    "The gap in the condition number is larger at 4 and 8 layers than at 2.",
    Inside(
        contrast(
            condition,
            (0.5, MIDDLE | SGDM),
            (-0.5, MIDDLE | ADAM),
            (0.5, DEEP | SGDM),
            (-0.5, DEEP | ADAM),
            (-1, SHALLOW | SGDM),
            (1, SHALLOW | ADAM),
        ),
        low=log(1.17),
    ),
    control=NO_DEPTH,
    source="Ahn et al. (2024), Section 4.2, condition number figure",
    expects="a picture: a larger gap for L = 4, 6 and 8 than for L = 2",
    threshold_source=LOWEST,
    remark="The paper's L = 6 is left out at laptop scale. No prototype measured the deeper arms.",
)

CLAIMS = (C14, C15, C17)
