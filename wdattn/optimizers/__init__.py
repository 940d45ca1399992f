"""How parameters move. `update_rules` holds the papers' formulas as pure functions of tensors, and
the rules built on them, which the replicas apply; a rule is no `keras.optimizers.Optimizer`.
"""

from wdattn.optimizers import update_rules

__all__ = ["update_rules"]
