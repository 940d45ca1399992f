"""One variable's line of a decay table."""

from dataclasses import dataclass

__all__ = ["DecayRow"]


@dataclass(frozen=True)
class DecayRow:
    """What an optimizer does to one variable at one step.

    Args:
        path: of the variable.
        shape: of the variable.
        rule: the pattern that decides, or what does in an optimizer without rules.
        decay: float >= 0. λ of this variable, its rule's multiplier included.
        rate: float >= 0. η of this variable, its rule's multiplier included.
        removed: float in [0, 1]. Share of the weight that the decay removes in this step; under
            the coupling `"l2"` the share that gradient descent without momentum would remove.
        step: int >= 0. Steps taken before this one.
    """

    path: str
    shape: tuple[int, ...]
    rule: str
    decay: float
    rate: float
    removed: float
    step: int
