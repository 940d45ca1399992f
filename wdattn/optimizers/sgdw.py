"""Gradient descent with momentum and weight decay, in the papers' form."""

from dataclasses import dataclass

import keras

from wdattn.optimizers.rule_optimizer import RuleOptimizer
from wdattn.optimizers.update_rules import SGD
from wdattn.optimizers.weight_decay import WeightDecay

__all__ = ["SGDW"]


@dataclass(frozen=True)
class _Nesterov(SGD):
    """d = g + μ m, one step ahead of the buffer m, as in `torch.optim.SGD`."""

    def __call__(self, gradient, slots, step):
        direction, slots = super().__call__(gradient, slots, step)
        return gradient + self.momentum * direction if slots else direction, slots


class _SGD(RuleOptimizer):
    def __init__(self, learning_rate, momentum, nesterov, **kwargs):
        if not isinstance(nesterov, bool):
            raise ValueError(f"`nesterov` must be True or False, got {nesterov!r}")
        rule = (_Nesterov if nesterov else SGD)(momentum)
        super().__init__(rule, ["buffer"][: rule.slots], learning_rate, **kwargs)

    def get_config(self):
        nesterov = isinstance(self._rule, _Nesterov)
        return {**super().get_config(), "momentum": self._rule.momentum, "nesterov": nesterov}


@keras.saving.register_keras_serializable("wdattn")
class SGDW(WeightDecay, _SGD):
    r"""Gradient descent with momentum and a weight decay that is scheduled, aimed, settable, saved.

    $$m \leftarrow \mu m + g, \qquad d = m \quad\text{or, with Nesterov,}\quad d = g + \mu m$$

    Polyak (1964) and Sutskever et al. (2013) as in `torch.optim.SGD`: the rate stays outside of the
    buffer, where `keras.optimizers.SGD` takes it in, which differs as soon as the rate changes. A
    step clips, then decays, then moves along d.

    Args:
        learning_rate: float >= 0, schedule, or function without arguments. η_t, read at each step.
        weight_decay: float >= 0, schedule, or registered function from the step to a scalar: λ_t.
            A float is kept in a variable: assign to `weight_decay` to change it while `fit` runs.
        momentum: float in [0, 1).
        nesterov: whether the direction looks one step ahead.
        coupling: `"decoupled"`, `"independent"`, `"l2"` or `"corrected"`: see `COUPLINGS`.
        decay_rules: name of a preset of `PRESETS`, or a sequence of `(pattern, decay multiplier,
            rate multiplier)`: the first pattern that `re.search` finds in `variable.path` decides.
        peak_learning_rate: float > 0, η_peak; None takes the peak that a schedule of
            `wdattn.schedules` states, or the rate itself where it is a float.
        effective_rate: whether `learning_rate` is η/‖w‖, with w all variables whose decay
            multiplier is above 0, at any λ.
        **kwargs: those of `keras.optimizers.Optimizer`: clipping, moving average of the weights,
            gradient accumulation, loss scaling, name.

    Raises:
        ValueError: if an argument is not as said; when it is built, if a variable has no rule or a
            rule no variable.
        TypeError: if `weight_decay` is assigned to while a schedule gives it.
    """

    def __init__(self, learning_rate=0.01, weight_decay=0.0005, momentum=0.0, nesterov=False,
                 coupling="decoupled", decay_rules="all", peak_learning_rate=None,
                 effective_rate=False, **kwargs):  # fmt: skip
        super().__init__(
            learning_rate,
            momentum,
            nesterov,
            weight_decay=weight_decay,
            coupling=coupling,
            decay_rules=decay_rules,
            peak_learning_rate=peak_learning_rate,
            effective_rate=effective_rate,
            **kwargs,
        )
