"""The settings of a weight decay in a Keras optimizer: checked, settable, shown and saved."""

import math
from numbers import Real

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from wdattn.arguments import is_real, real, real_or_none
from wdattn.backend.keras_optimizers import Hooks
from wdattn.optimizers.coupling import COUPLINGS
from wdattn.optimizers.knob import Knob
from wdattn.optimizers.update import Update
from wdattn.schedules import Schedule

__all__ = ["DecaySettings"]


class _Undeclared:
    """Stands for the rule of an optimizer that says its step in code alone."""

    slots = 0


class DecaySettings(Hooks):
    """Mixin that stands before a Keras optimizer: what `WeightDecay` takes and keeps.

    Args:
        *args: those of the optimizer.
        learning_rate: float >= 0, schedule, or function without arguments; None is the default of
            the optimizer.
        weight_decay: float >= 0, a schedule, or a registered function from the step to a scalar:
            λ, per unit of rate where the coupling says so. None only where `timescale` is given.
        coupling: one of `COUPLINGS`.
        decay_rules: name of a preset or a sequence of rules, as `DecayRules` takes them.
        peak_learning_rate: float > 0, η_peak; None takes the peak that a schedule of
            `wdattn.schedules` states, or the rate itself where it is a float.
        effective_rate: whether `learning_rate` is η/‖w‖, with w all variables whose decay
            multiplier is above 0, at any λ; the rate of a step is then its product with ‖w‖.
        cautious: whether an entry decays only where the step moves it towards 0 as well.
        timescale: steps τ in which the decay forgets, instead of λ; or a pair of epochs and steps
            per epoch. λ = 1/(η_peak τ), and 1/τ under `"independent"`.
        rule: update rule where there is one.
        **kwargs: those of the optimizer.

    Raises:
        ValueError: if an argument is not as said, or the peak is needed and unknown.
    """

    def __init__(self, *args, weight_decay=None, coupling="decoupled", decay_rules="all",
                 peak_learning_rate=None, effective_rate=False, cautious=False, timescale=None,
                 rule=None, **kwargs):  # fmt: skip
        for name in ("clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor"):
            real_or_none(name, kwargs.get(name), above=0)  # Keras ignores one that is negative
        if args:
            args = (_rate(args[0]), *args[1:])
        elif "learning_rate" in kwargs:
            kwargs["learning_rate"] = _rate(kwargs["learning_rate"])
        super().__init__(*args, **kwargs)
        self._peak = self._peak_rate(peak_learning_rate, coupling, timescale)
        self.update = Update(
            rule or _Undeclared(),
            Knob("learning_rate"),
            Knob("weight_decay"),
            decay_rules,
            coupling,
            cautious,
            effective_rate=effective_rate,
            peak_learning_rate=self._peak,
        )
        self.timescale = tuple(timescale) if isinstance(timescale, list) else timescale
        if timescale is not None:
            weight_decay = _of_timescale(timescale, weight_decay, self._peak, coupling)
        self._decay_source = _source(weight_decay)
        self._decay = None if self._decay_source else self._scalar("weight_decay", weight_decay)
        self._gradient_norm = self._scalar("gradient_norm", 0.0)
        self._clock = self._scalar("decay_clock", 0.0)
        self._clock_rest = self._scalar("decay_clock_rest", 0.0)

    def _scalar(self, name, value):
        return keras.Variable(
            float(value), name=name, trainable=False, aggregation="only_first_replica"
        )

    def _peak_rate(self, peak, coupling, timescale):
        """The stated peak; the config holds it, since a rate may have been assigned by then."""
        if peak is not None:
            return real("peak_learning_rate", peak, above=0)
        rate = self.rate_source
        if isinstance(rate, Schedule):
            peak = rate.peak
        elif isinstance(rate, keras.Variable):
            peak = float(ops.convert_to_numpy(rate))
        needed = coupling in COUPLINGS and COUPLINGS[coupling].needs_peak
        if not peak and (needed or (timescale is not None and coupling != "independent")):
            asks = f"coupling {coupling!r}" if needed else "a `timescale`"
            raise ValueError(
                f"`peak_learning_rate` must be given for {asks}, since the peak of {rate!r} is not "
                f"known, got {peak!r}"
            )
        return peak or None

    @property
    def learning_rate(self):
        """η, before the rules' multipliers: a variable to assign to, or a schedule's value now."""
        return super().learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        keras.optimizers.Optimizer.learning_rate.fset(self, _rate(value))

    @property
    def weight_decay(self):
        """λ, before the rules' multipliers: a variable to assign to, or a schedule's value now."""
        if not hasattr(self, "_decay"):  # Keras's constructor asks before ours has set it
            return 0.0
        return self._decay if self._decay_source is None else self._decay_source(self.steps)

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
        self.timescale = None

    @property
    def coupling(self):
        """How the decay enters the step: a name of `COUPLINGS`."""
        return self.update.coupling

    @property
    def cautious(self):
        """Whether an entry decays only where the step moves it towards 0 as well."""
        return self.update.cautious

    @property
    def effective_rate(self):
        """Whether the rate of a step is `learning_rate` times the norm of the decayed weights."""
        return self.update.effective_rate

    @property
    def decay_rules(self):
        """The rules: a preset's name, or a list of `[pattern, decay and rate multiplier]`."""
        return self.update.decay_rules.config()

    @property
    def peak_learning_rate(self):
        """η_peak, or None where it is neither stated nor needed."""
        return self._peak

    @property
    def gradient_norm(self):
        """Scalar variable: Euclidean norm of all gradients of the last step, before clipping."""
        return self._gradient_norm

    @property
    def decay_clock(self):
        """Scalar variable: the sum of the shares η_t λ_t by which each step so far has decayed.

        Under another coupling than `"decoupled"` its own share is summed, as in `COUPLINGS`: it is
        the clock by which decay acts. Multipliers of the rules are left out.
        """
        return self._clock

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Refused: exclusions are rules here, which are checked, shown and saved."""
        raise TypeError(
            "`exclude_from_weight_decay` would not be saved; give the optimizer `decay_rules`, "
            "such as 'no_bias_norm' or [('bias$', 0.0, 1.0), ('.*', 1.0, 1.0)]"
        )

    def get_config(self):
        source = self._decay_source
        return {
            **super().get_config(),
            "weight_decay": keras.saving.serialize_keras_object(source)
            if source
            else (float(ops.convert_to_numpy(self._decay)) if self.timescale is None else None),
            "coupling": self.coupling,
            "decay_rules": self.decay_rules,
            "peak_learning_rate": self._peak,
            "effective_rate": self.effective_rate,
            "cautious": self.cautious,
            "timescale": list(self.timescale)
            if isinstance(self.timescale, tuple)
            else self.timescale,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The optimizer with this config, or with that of the Keras optimizer of its rule."""
        decay = config.get("weight_decay")
        if isinstance(decay, dict):
            decay = keras.saving.deserialize_keras_object(decay, custom_objects=custom_objects)
        stock = "coupling" not in config and "weight_decay" in config and decay is None
        given = {} if "weight_decay" not in config else {"weight_decay": 0.0 if stock else decay}
        return super().from_config({**config, **given}, custom_objects)


def _rate(rate):
    """The rate as Keras takes it: a float where it is a number."""
    if isinstance(rate, Real):
        return real("learning_rate", rate, least=0)
    return rate


def _of_timescale(timescale, decay, peak, coupling):
    """λ that forgets in so many steps, or in (epochs, steps per epoch)."""
    if decay is not None:
        raise ValueError(
            f"`timescale` must be None where `weight_decay` is given, got {timescale!r} and "
            f"{decay!r}"
        )
    pair = timescale if isinstance(timescale, list | tuple) else (timescale, 1)
    if len(pair) != 2 or not all(is_real(part) and part > 0 for part in pair):
        raise ValueError(
            "`timescale` must be a number of steps > 0 or a pair (epochs, steps per epoch), got "
            f"{timescale!r}"
        )
    return 1 / math.prod(pair) if coupling == "independent" else 1 / (peak * math.prod(pair))


def _source(decay):
    """The schedule or function that gives the decay; None for a number."""
    if isinstance(decay, LearningRateSchedule):
        return decay
    if is_real(decay) and decay >= 0:
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
