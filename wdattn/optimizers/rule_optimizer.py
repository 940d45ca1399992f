"""A Keras optimizer that takes the step of a declared `Update`."""

from collections import defaultdict

import keras
from keras import ops

from wdattn import backend
from wdattn.backend.keras_optimizers import path_of
from wdattn.optimizers.coupling import COUPLINGS
from wdattn.optimizers.step import move
from wdattn.optimizers.weight_decay import COARSE, WeightDecay

__all__ = ["RuleOptimizer"]


class RuleOptimizer(WeightDecay, keras.optimizers.Optimizer):
    """Steps by the pure function that the replicas use, `wdattn.optimizers.step.move`.

    A bfloat16 or float16 variable is moved in float32: its squared gradients, and an epsilon of
    1e-8, would be 0 in float16. Where it decays, what rounding leaves over is kept.

    Args:
        rule: update rule.
        slots: names of what the rule keeps for each variable.
        learning_rate: float, schedule or callable, as in Keras.
        **kwargs: those of `WeightDecay` and of `keras.optimizers.Optimizer`.
    """

    def __init__(self, rule, slots, learning_rate, **kwargs):
        super().__init__(learning_rate, rule=rule, **kwargs)
        self._slot_names = slots

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        rule = self.update.rule
        self._rules = tuple(
            rule.of(path_of(variable), tuple(variable.shape)) if hasattr(rule, "of") else rule
            for variable in variables
        )
        self._slots = tuple(
            tuple(self._slot(variable, name) for name in self._slot_names[: rule.slots])
            for variable, rule in zip(variables, self._rules, strict=True)
        )

    def _slot(self, variable, name):
        if keras.backend.standardize_dtype(variable.dtype) not in COARSE:
            return self.add_variable_from_reference(variable, name=name)
        return self.add_variable(variable.shape, dtype="float32", name=name)

    def take_step(self, gradients, variables, learning_rate):
        numbers = self.numbers(learning_rate)
        if backend.together is None:
            self.step_each(gradients, variables, numbers)
            return
        groups = defaultdict(list)
        for gradient, variable in zip(gradients, variables, strict=True):
            index = self.index_of(variable)
            rule = self._rules[index]
            if variable.dtype in COARSE or type(rule).__name__ not in backend.together.RULES:
                self.update_step(gradient, variable, numbers)
            else:
                tensors = gradient, variable.value, *(slot.value for slot in self._slots[index])
                groups[rule, self.multipliers[index], variable.dtype].append(tensors)
        for (rule, (by_decay, by_rate), _), members in groups.items():
            rate, relative, decay = numbers
            rate, decay = rate * by_rate, decay * by_decay
            share = COUPLINGS[self.coupling].removed
            removed = share(rate, relative, decay) if by_decay != 0 and share else None
            coupled = decay if by_decay != 0 and share is None else None
            gradients, parameters, *slots = (list(each) for each in zip(*members, strict=True))
            count = ops.cast(self.iterations + 1, "float32")
            backend.together.move(
                rule, parameters, gradients, slots, count, rate, coupled, removed, self.cautious
            )

    def update_step(self, gradient, variable, numbers):
        index = self.index_of(variable)
        kept, remainder = self._slots[index], self._remainders[index]
        dtype = keras.backend.standardize_dtype(variable.dtype)
        dtype = "float32" if dtype in COARSE else dtype
        exact = ops.cast(variable, dtype)
        if remainder is not None:
            exact = exact + remainder
        by_decay, by_rate = self.multipliers[index]
        rate, relative, decay = (ops.cast(number, dtype) for number in numbers)
        moved, slots = move(
            self.update,
            self._rules[index],
            exact,
            ops.cast(gradient, dtype),
            tuple(ops.convert_to_tensor(slot) for slot in kept),
            ops.cast(self.iterations + 1, dtype),
            rate * by_rate,
            relative,
            decay * by_decay if by_decay != 0 else 0.0,
        )
        for slot, value in zip(kept, slots, strict=True):
            self.assign(slot, value)
        rounded = ops.cast(moved, variable.dtype)
        self.assign(variable, rounded)
        if remainder is not None:
            self.assign(remainder, moved - ops.cast(rounded, dtype))
