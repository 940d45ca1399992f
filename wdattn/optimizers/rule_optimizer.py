"""A Keras optimizer that moves along the direction of an update rule."""

import keras
from keras import ops

from wdattn.backend.keras_optimizers import dense

__all__ = ["COARSE", "RuleOptimizer"]

COARSE = ("bfloat16", "float16")
"""Types of weights whose moments and remainders are kept in float32."""


class RuleOptimizer(keras.optimizers.Optimizer):
    r"""Steps $p \leftarrow p - \eta\, d$ with d the direction of a rule of `update_rules`.

    The direction of a bfloat16 or float16 variable is computed in float32: its squared gradients,
    and an epsilon of 1e-8, would be 0 in float16.

    Args:
        rule: update rule.
        slots: names of what the rule keeps for each variable.
        learning_rate: float, schedule or callable, as in Keras.
        **kwargs: those of `keras.optimizers.Optimizer`.
    """

    def __init__(self, rule, slots, learning_rate, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self._rule, self._slot_names = rule, slots

    def build(self, variables):
        super().build(variables)
        self._slots = [
            [self._slot(variable, name) for variable in variables] for name in self._slot_names
        ]

    def _slot(self, variable, name):
        if variable.dtype not in COARSE:
            return self.add_variable_from_reference(variable, name=name)
        return self.add_variable(variable.shape, dtype="float32", name=name)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        kept = [slots[index] for slots in self._slots]
        slots = tuple(ops.convert_to_tensor(slot) for slot in kept)
        dtype = kept[0].dtype if kept else variable.dtype
        step = ops.cast(self.iterations + 1, dtype)
        direction, slots = self._rule(ops.cast(dense(gradient), dtype), slots, step)
        for slot, value in zip(kept, slots, strict=True):
            self.assign(slot, value)
        change = direction * ops.cast(learning_rate, dtype)
        self.assign_sub(variable, ops.cast(change, variable.dtype))
