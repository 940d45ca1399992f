"""Weight decay for Keras optimizers: scheduled, aimed by rules, settable, saved.

The names of Keras that are not public, and that this cannot do without, stand in this file alone.
"""

import math
from functools import reduce
from numbers import Real

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from wdattn.backend.keras_optimizers import dense
from wdattn.optimizers.coupling import COUPLINGS
from wdattn.optimizers.decay_row import DecayRow
from wdattn.optimizers.decay_rules import DecayRules
from wdattn.optimizers.decay_table import DecayTable
from wdattn.optimizers.rule_optimizer import COARSE
from wdattn.schedules import Schedule

__all__ = ["WeightDecay"]


class WeightDecay:
    """Mixin that stands before a Keras optimizer and replaces its weight decay.

    A step clips the gradients as Keras does, decays each variable, and then takes the optimizer's
    own step from there. Its direction was settled by the gradient, so the order of the two does
    not matter where the decay is not coupled to the gradient. A rate multiplier makes a variable
    move as under an optimizer of its own with that multiple of the rate and of its peak.

    The share that a step takes from a variable of type bfloat16 or float16 is often too small to
    change it. What rounding leaves over is kept in float32 and added to the next step's.

    Args:
        *args: those of the optimizer.
        weight_decay: float >= 0, a schedule, or a registered function from the step to a scalar:
            λ, per unit of rate where the coupling says so.
        coupling: one of `COUPLINGS`.
        decay_rules: name of a preset or a sequence of rules, as `DecayRules` takes them.
        peak_learning_rate: float > 0, η_peak; None takes the peak that a schedule of
            `wdattn.schedules` states, or the rate itself where it is a float.
        effective_rate: whether `learning_rate` is η/‖w‖, with w all variables whose decay
            multiplier is above 0, at any λ; the rate of a step is then its product with ‖w‖.
        **kwargs: those of the optimizer.

    Raises:
        ValueError: if an argument is not as said, or the peak is needed and unknown.
    """

    def __init__(self, *args, weight_decay, coupling="decoupled", decay_rules="all",
                 peak_learning_rate=None, effective_rate=False, **kwargs):  # fmt: skip
        super().__init__(*args, **kwargs)
        if coupling not in COUPLINGS:
            known = ", ".join(map(repr, COUPLINGS))
            raise ValueError(f"`coupling` must be one of {known}, got {coupling!r}")
        if not isinstance(effective_rate, bool):
            raise ValueError(f"`effective_rate` must be True or False, got {effective_rate!r}")
        self.coupling, self.effective_rate = coupling, effective_rate
        self._rules = DecayRules(decay_rules)
        self._peak = self._peak_rate(peak_learning_rate)
        self._decay_source = _source(weight_decay)
        self._decay = None if self._decay_source else self._scalar("weight_decay", weight_decay)
        self._gradient_norm = self._scalar("gradient_norm", 0.0)

    def _scalar(self, name, value):
        return keras.Variable(
            float(value), name=name, trainable=False, aggregation="only_first_replica"
        )

    def _peak_rate(self, peak):
        """The stated peak; the config holds it, since a rate may have been assigned by then."""
        if peak is not None:
            if not isinstance(peak, Real) or isinstance(peak, bool) or not 0 < peak < math.inf:
                raise ValueError(
                    f"`peak_learning_rate` must be positive and finite, or None, got {peak!r}"
                )
            return float(peak)
        rate = self._learning_rate
        if isinstance(rate, Schedule):
            peak = rate.peak
        elif isinstance(rate, keras.Variable):
            peak = float(ops.convert_to_numpy(rate))
        if COUPLINGS[self.coupling].needs_peak and not peak:
            raise ValueError(
                f"`peak_learning_rate` must be given for coupling {self.coupling!r}, since the "
                f"peak of {rate!r} is not known, got {peak!r}"
            )
        return peak

    @property
    def weight_decay(self):
        """λ, before the rules' multipliers: a variable to assign to, or a schedule's value now."""
        if not hasattr(self, "_decay"):  # Keras's constructor asks before ours has set it
            return 0.0
        return self._decay if self._decay_source is None else self._decay_source(self._iterations)

    @weight_decay.setter
    def weight_decay(self, value):
        if not hasattr(self, "_decay"):  # Keras's constructor sets its own, which is off
            return
        if self._decay is None:
            raise TypeError(
                "`weight_decay` was given as a schedule or function, so that it cannot be set; "
                f"make the optimizer with a float to set it, got {value!r}"
            )
        if isinstance(value, Real):
            _source(value)
        elif callable(value):
            raise TypeError(f"`weight_decay` can be set to a number only, got {value!r}")
        self._decay.assign(value)

    @property
    def decay_rules(self):
        """The rules: a preset's name, or a list of `[pattern, decay and rate multiplier]`."""
        return self._rules.config()

    @property
    def peak_learning_rate(self):
        """η_peak, or None where it is neither stated nor needed."""
        return self._peak

    @property
    def gradient_norm(self):
        """Scalar variable: Euclidean norm of all gradients of the last step, before clipping."""
        return self._gradient_norm

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Refused: exclusions are rules here, which are checked, shown and saved."""
        raise TypeError(
            "`exclude_from_weight_decay` would not be saved; give the optimizer `decay_rules`, "
            "such as 'no_bias_norm' or [('bias$', 0.0, 1.0), ('.*', 1.0, 1.0)]"
        )

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        # Here and not in the step: TensorFlow hands the step a bare tf.Variable without a path.
        matched = self._rules.match([variable.path for variable in variables])
        self._multipliers = tuple((decay, rate) for _, decay, rate in matched)
        if self.effective_rate and not any(decay for decay, _ in self._multipliers):
            raise ValueError("`effective_rate` must have a variable whose decay multiplier is > 0")
        self._remainders = tuple(
            self.add_variable(variable.shape, dtype="float32", name="decay_remainder")
            if variable.dtype in COARSE and decay
            else None
            for variable, (decay, _) in zip(variables, self._multipliers, strict=True)
        )

    def _apply_weight_decay(self, variables):
        """Nothing: the decay is a part of `update_step`, where each variable's rate is known."""

    def _clip_gradients(self, gradients):
        self._gradient_norm.assign(ops.cast(_norm(gradients), self._gradient_norm.dtype))
        return super()._clip_gradients(gradients)

    def _backend_update_step(self, gradients, variables, learning_rate):
        rate = learning_rate * self._decayed_norm() if self.effective_rate else learning_rate
        super()._backend_update_step(gradients, variables, rate)

    def _decayed_norm(self):
        pairs = zip(self._trainable_variables, self._multipliers, strict=True)
        return _norm([variable for variable, (decay, _) in pairs if decay])

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        decay_multiplier, rate_multiplier = self._multipliers[index]
        rate = ops.cast(learning_rate, "float32") * rate_multiplier
        removed = COUPLINGS[self.coupling].removed
        if decay_multiplier:
            decay = ops.cast(self.weight_decay, "float32") * decay_multiplier
            if removed is None:
                gradient = dense(gradient) + ops.cast(decay, variable.dtype) * variable
            else:
                self._shrink(variable, index, removed(rate, self._relative_rate(), decay))
        super().update_step(gradient, variable, rate)

    def _relative_rate(self):
        """The rate as it was given over its peak, s in the couplings."""
        return ops.cast(self.learning_rate, "float32") / self._peak if self._peak else 1.0

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
            `DecayTable`, a list of `DecayRow` in the order of `model.trainable_variables`.

        Raises:
            ValueError: if the rules do not fit the model.
        """
        variables = model.trainable_variables
        matched = self._rules.match([variable.path for variable in variables])
        rate, decay = _float(self.learning_rate), _float(self.weight_decay)
        relative = rate / self._peak if self._peak else 1.0
        if self.effective_rate:
            rate *= _float(_norm([v for v, r in zip(variables, matched, strict=True) if r[1]]))
        # Under l2 too: what descent without momentum would remove.
        removed = COUPLINGS[self.coupling].removed or COUPLINGS["decoupled"].removed
        return DecayTable(
            [
                DecayRow(
                    variable.path,
                    tuple(variable.shape),
                    pattern if self._rules.preset is None else self._rules.preset,
                    decay * by_decay,
                    rate * by_rate,
                    removed(rate * by_rate, relative, decay * by_decay),
                    int(ops.convert_to_numpy(self._iterations)),
                )
                for variable, (pattern, by_decay, by_rate) in zip(variables, matched, strict=True)
            ],
            self.coupling,
        )

    def get_config(self):
        source = self._decay_source
        return {
            **super().get_config(),
            "weight_decay": keras.saving.serialize_keras_object(source)
            if source
            else _float(self._decay),
            "coupling": self.coupling,
            "decay_rules": self.decay_rules,
            "peak_learning_rate": self._peak,
            "effective_rate": self.effective_rate,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The optimizer with this config."""
        decay = config["weight_decay"]
        if isinstance(decay, dict):
            decay = keras.saving.deserialize_keras_object(decay, custom_objects=custom_objects)
        return super().from_config({**config, "weight_decay": decay}, custom_objects)


def _source(decay):
    """The schedule or function that gives the decay; None for a number."""
    if isinstance(decay, LearningRateSchedule):
        return decay
    if isinstance(decay, Real) and not isinstance(decay, bool) and 0 <= decay < math.inf:
        return None
    if callable(decay):
        name = keras.saving.get_registered_name(decay)
        if keras.saving.get_registered_object(name) is decay:
            return decay
        raise ValueError(
            "`weight_decay` must be a function that is registered by "
            "@keras.saving.register_keras_serializable, or it could not be loaded again, got "
            f"{decay!r}"
        )
    raise ValueError(
        "`weight_decay` must be finite and >= 0, a schedule or a registered function, got "
        f"{decay!r}"
    )


def _norm(tensors):
    """Euclidean norm over all entries; tensors may be missing."""
    squares = [
        ops.sum(ops.square(ops.cast(dense(tensor), "float32")))
        for tensor in tensors
        if tensor is not None
    ]
    return ops.sqrt(reduce(ops.add, squares))


def _float(scalar):
    return float(ops.convert_to_numpy(scalar))
