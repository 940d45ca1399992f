"""Weight decay for Keras optimizers: scheduled, aimed by rules, settable, saved."""

import keras
from keras import ops

from wdattn import backend
from wdattn.backend.keras_optimizers import path_of
from wdattn.optimizers.coupling import COUPLINGS
from wdattn.optimizers.decay_settings import DecaySettings
from wdattn.optimizers.decay_table import DecayTable, decay_rows
from wdattn.optimizers.step import scalars
from wdattn.optimizers.update_rules import norm

__all__ = ["COARSE", "WeightDecay"]

COARSE = ("bfloat16", "float16")
"""Types of weights whose moments and remainders are kept in float32."""


class WeightDecay(DecaySettings):
    """Mixin that stands before a Keras optimizer and replaces its weight decay.

    A step clips the gradients as Keras does, decays each variable, and then takes the optimizer's
    own step from there. Its direction was settled by the gradient, so the order of the two does
    not matter where the decay is not coupled to the gradient. A rate multiplier makes a variable
    move as under an optimizer of its own with that multiple of the rate and of its peak.

    The share that a step takes from a variable of type bfloat16 or float16 is often too small to
    change it. What rounding leaves over is kept in float32 and added to the next step's.

    Its arguments are those of `DecaySettings` and of the optimizer.
    """

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        # Here and not in the step: TensorFlow hands the step a bare tf.Variable without a path.
        paths = [path_of(variable) for variable in variables]
        self.update.check_rules(paths)
        matched = self.update.decay_rules.match(paths)
        self.multipliers = tuple((decay, rate) for _, decay, rate in matched)
        self._remainders = tuple(
            self.add_variable(variable.shape, dtype="float32", name="decay_remainder")
            if keras.backend.standardize_dtype(variable.dtype) in COARSE and decay != 0
            else None
            for variable, (decay, _) in zip(variables, self.multipliers, strict=True)
        )

    def clipped(self, gradients, clip):
        """The gradients as Keras clips them; notes their norm before."""
        many = backend.together
        gradients = [ops.convert_to_tensor(gradient) for gradient in gradients]
        length = many.norm(gradients) if many else norm(gradients)
        self._gradient_norm.assign(ops.cast(length, self._gradient_norm.dtype))
        if self.global_clipnorm is None:
            return clip(gradients)
        # Not a number where the norm is not finite, as in Keras.
        factor = ops.minimum(1.0, self.global_clipnorm / length) + (length - length)
        if many:
            return many.scaled(gradients, factor)
        return [gradient * ops.cast(factor, gradient.dtype) for gradient in gradients]

    def take_step(self, gradients, variables, learning_rate):
        """One step of all variables, whose numbers are evaluated once."""
        numbers = self.numbers(learning_rate)
        self.step_each(gradients, variables, numbers)

    def numbers(self, learning_rate):
        """Rate, rate over its peak, and decay of a step, in float32; moves the clock on."""
        rate = ops.cast(learning_rate, "float32")
        decay = ops.cast(self.weight_decay, "float32")
        turned = {"learning_rate": rate, "weight_decay": decay}
        relative = scalars(self.update, None, turned, "float32")["relative"]
        removed = _shares(self.coupling)(rate, relative, decay)
        # Kahan's sum: a share of 1e-6 is mostly lost where float32 has counted to 10.
        more = removed - self._clock_rest
        total = self._clock + more
        self._clock_rest.assign(total - self._clock - more)
        self._clock.assign(total)
        if self.effective_rate:
            pairs = zip(self.built_variables, self.multipliers, strict=True)
            rate = rate * norm([variable for variable, (by, _) in pairs if by != 0])
        return rate, relative, decay

    def update_step(self, gradient, variable, numbers):
        """Decay, and then the optimizer's own step at the variable's rate."""
        index = self.index_of(variable)
        rate, relative, decay = numbers
        by_decay, by_rate = self.multipliers[index]
        rate, decay = rate * by_rate, decay * by_decay
        share = COUPLINGS[self.coupling].removed
        if by_decay == 0:
            super().update_step(gradient, variable, rate)
        elif share is None:
            gradient = gradient + ops.cast(decay, gradient.dtype) * ops.cast(
                variable, gradient.dtype
            )
            super().update_step(gradient, variable, rate)
        elif self.cautious:
            before = ops.convert_to_tensor(variable) + 0
            super().update_step(gradient, variable, rate)
            towards = (before - ops.convert_to_tensor(variable)) * before >= 0
            removed = ops.where(towards, ops.cast(share(rate, relative, decay), before.dtype), 0)
            self.assign_sub(variable, removed * before)
        else:
            self._shrink(variable, index, share(rate, relative, decay))
            super().update_step(gradient, variable, rate)

    def _shrink(self, variable, index, removed):
        remainder = self._remainders[index]
        if remainder is None:
            self.assign_sub(variable, ops.cast(removed, variable.dtype) * variable)
            return
        exact = (ops.cast(variable, "float32") + remainder) * (1 - removed)
        rounded = ops.cast(exact, variable.dtype)
        self.assign(variable, rounded)
        self.assign(remainder, exact - ops.cast(rounded, "float32"))

    def decay_table(self, model):
        """Which variable of a model decays, by which rule and how much, in the next step.

        Args:
            model: built `keras.Model`; the optimizer need not be.

        Returns:
            `DecayTable`, a list of `DecayRow`: one for each of `model.trainable_variables` in their
            order, then one for each variable that is not trained.

        Raises:
            ValueError: if the rules do not fit the model.
        """
        variables = model.trainable_variables
        paths = [variable.path for variable in variables]
        frozen = [variable.path for variable in model.non_trainable_variables]
        rules = self.update.decay_rules.match(paths, frozen)
        rate, decay = _float(self.learning_rate), _float(self.weight_decay)
        peak = self._peak or rate
        relative = rate / peak if peak else 1.0
        shares = _shares(self.coupling)
        if self.effective_rate:
            length = norm([v for v, r in zip(variables, rules, strict=True) if r[1] != 0])
            rate, peak = rate * _float(length), peak * _float(length)
        step = int(ops.convert_to_numpy(self.steps))
        rows = decay_rows(
            model,
            rules,
            self.update.decay_rules.preset,
            lambda by_decay, by_rate: (decay * by_decay, rate * by_rate),
            lambda by_decay, by_rate: shares(rate * by_rate, relative, decay * by_decay),
            lambda by_decay, by_rate: shares(peak * by_rate, 1.0, decay * by_decay),
            step,
        )
        return DecayTable(rows, self.coupling)


def _shares(coupling):
    """The share that a step takes; under l2 what descent without momentum would take."""
    return COUPLINGS[coupling].removed or COUPLINGS["decoupled"].removed


def _float(scalar):
    return float(ops.convert_to_numpy(scalar))
