"""A Keras optimizer that moves along the direction of an update rule."""

import keras
from keras import ops

__all__ = ["RuleOptimizer"]


class RuleOptimizer(keras.optimizers.Optimizer):
    r"""Steps $p \leftarrow p - \eta\, d$ with d the direction of a rule of `update_rules`.

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
        self._slots = self.add_optimizer_variables(variables, list(self._slot_names))

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        kept = [slots[index] for slots in self._slots]
        # TensorFlow hands over the gradient of an embedding as slices.
        gradient = ops.cast(ops.convert_to_tensor(gradient, sparse=False), variable.dtype)
        step = ops.cast(self.iterations + 1, variable.dtype)
        slots = tuple(ops.convert_to_tensor(slot) for slot in kept)
        direction, slots = self._rule(gradient, slots, step)
        for slot, value in zip(kept, slots, strict=True):
            self.assign(slot, value)
        self.assign_sub(variable, direction * ops.cast(learning_rate, variable.dtype))
