"""Optimizers whose weight decay can be scheduled, aimed, changed, shown and saved.

`COUPLINGS` and `PRESETS` say what `coupling` and `decay_rules` may be. `update_rules` holds the
papers' formulas as pure functions of tensors, and the rules built on them, which the replicas
apply; a rule is no `keras.optimizers.Optimizer`.
"""

from wdattn.optimizers import update_rules
from wdattn.optimizers.adamw import AdamW
from wdattn.optimizers.coupling import COUPLINGS, Coupling
from wdattn.optimizers.decay_rules import PRESETS, DecayRules
from wdattn.optimizers.decay_table import DecayRow, DecayTable
from wdattn.optimizers.knob import Knob
from wdattn.optimizers.layout import Layout
from wdattn.optimizers.muon import Muon
from wdattn.optimizers.muon_rule import MuonRule
from wdattn.optimizers.sgdw import SGDW
from wdattn.optimizers.update import Update
from wdattn.optimizers.with_weight_decay import with_weight_decay

__all__ = [
    "COUPLINGS",
    "PRESETS",
    "SGDW",
    "AdamW",
    "Coupling",
    "DecayRow",
    "DecayRules",
    "DecayTable",
    "Knob",
    "Layout",
    "Muon",
    "MuonRule",
    "Update",
    "update_rules",
    "with_weight_decay",
]
