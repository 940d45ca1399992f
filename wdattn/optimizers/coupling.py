"""The ways in which a weight decay can enter a step: one table, formula, source and law."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["COUPLINGS", "Coupling"]


@dataclass(frozen=True)
class Coupling:
    """How a weight decay λ enters a step of rate η, with s = η/η_peak the rate over its peak.

    Args:
        formula: the step, with d the direction of the update rule.
        law: what becomes of a weight without a gradient.
        source: the paper, and who else computes it so.
        removed: `(rate, relative, decay)`, with s as `relative`, to the share of the weight that a
            step removes; None where the decay goes through the gradient.
        needs_peak: whether s is used.
    """

    formula: str
    law: str
    source: str
    removed: Callable[[Any, Any, Any], Any] | None
    needs_peak: bool


COUPLINGS = {
    "decoupled": Coupling(
        "p ← p − η_t (d + λ_t p)",
        "∏ (1 − η_t λ_t)",
        "Loshchilov & Hutter (2019), Algorithm 2, with the rate in front of the decay, as "
        "torch.optim.AdamW and keras.optimizers.AdamW",
        lambda rate, relative, decay: rate * decay,
        needs_peak=False,
    ),
    "independent": Coupling(
        "p ← p − η_t d − s_t λ_t p",
        "∏ (1 − s_t λ_t)",
        "Loshchilov & Hutter (2019), Algorithm 2 as printed: the schedule's multiplier scales the "
        "decay, the base rate does not",
        lambda rate, relative, decay: relative * decay,
        needs_peak=True,
    ),
    "l2": Coupling(
        "d from g + λ_t p, p ← p − η_t d",
        "∏ (1 − η_t λ_t) under gradient descent without momentum; none under Adam or with momentum",
        "Hanson & Pratt (1988), as weight_decay of torch.optim.Adam and torch.optim.SGD",
        None,
        needs_peak=False,
    ),
    "corrected": Coupling(
        "p ← p − η_t (d + λ_t s_t p)",
        "∏ (1 − λ_t η_t² / η_peak)",
        "Defazio (2025), AdamC",
        lambda rate, relative, decay: rate * relative * decay,
        needs_peak=True,
    ),
}
"""Name to coupling, in the order of the table below."""
