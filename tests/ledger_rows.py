"""Ledger rows that were made up."""

from math import inf, log

from wdattn.ledger import Row
from wdattn.reproduction import Beside, Choice, Part


def made_part(**changes):
    """A part of a row; `changes` replaces fields."""
    own = {"label": "", "unit": "log ratio", "values": (log(3.5), log(4.5)), "effect": log(4),
           "interval": (log(3), log(5)), "low": log(2), "high": inf,
           "verdict": "reproduced"}  # fmt: skip
    return Part(**own | changes)


def made_row(**changes):
    """A row with all that a row can say; `changes` replaces fields."""
    control = made_part(effect=0.01, interval=(-0.1, 0.1), verdict="contradicted")
    own = {"claim": "C1", "paper": "toy2024", "title": "One thing grows with another.",
           "source": "Figure 7", "backend": "jax", "scale": "laptop", "seeds": (0, 1, 2),
           "verdict": "reproduced", "parts": (made_part(),), "set_aside": (),
           "control": "contradicted", "control_parts": (control,),
           "why": "The factor is 4 over 3 seeds.", "expects": "About 5 times.",
           "threshold_source": "half of the paper's", "deviations": "A smaller batch.",
           "choices": (made_choice(),),
           "beside": (Beside("widths", "slope", (1.1, 1.3), 1.2, (1.1, 1.3)),), "skipped": 0.0,
           "remark": "Only early in training.", "builds": ("b1",),
           "versions": ({"python": "3.11.7"},)}  # fmt: skip
    return Row(**own | changes)


def made_choice(**changes):
    """What a search chose; `changes` replaces fields."""
    own = {"setting": "learning_rate", "value": 0.02, "grid": (0.01, 0.02, 0.05), "arm": {"n": 5}}
    return Choice(**own | changes)
