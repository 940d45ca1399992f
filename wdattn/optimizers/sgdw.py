"""Gradient descent with momentum and weight decay, in the papers' form."""

import keras

from wdattn.optimizers.rule_optimizer import RuleOptimizer
from wdattn.optimizers.update_rules import SGD

__all__ = ["SGDW"]


@keras.saving.register_keras_serializable("wdattn")
class SGDW(RuleOptimizer):
    r"""Gradient descent with momentum and a weight decay that is scheduled, aimed, settable, saved.

    $$m \leftarrow \mu m + g, \qquad d = m \quad\text{or, with Nesterov,}\quad d = g + \mu m$$

    Polyak (1964) and Sutskever et al. (2013) as in `torch.optim.SGD`: the rate stays outside of the
    buffer, where `keras.optimizers.SGD` takes it in, which differs as soon as the rate changes. A
    step clips, then decays, then moves along d.

    Args:
        learning_rate: float >= 0, schedule, or function without arguments. η_t, read at each step.
        weight_decay: float >= 0, schedule, or registered function from the step to a scalar: λ_t.
            A float is kept in a variable: assign to `weight_decay` to change it while `fit` runs.
            None is 0.0005, or what `timescale` says.
        momentum: float in [0, 1).
        nesterov: whether the direction looks one step ahead.
        coupling: `"decoupled"`, `"independent"`, `"l2"` or `"corrected"`: see `COUPLINGS`.
        decay_rules: name of a preset of `PRESETS`, or a sequence of `(pattern, decay multiplier,
            rate multiplier)`: the first pattern that `re.search` finds in `variable.path` decides.
            A fourth entry `"may be absent"` says that the rule need not match a variable.
        peak_learning_rate: float > 0, η_peak; None takes the peak that a schedule of
            `wdattn.schedules` states, or the rate itself where it is a float.
        effective_rate: whether `learning_rate` is η/‖w‖, with w all variables whose decay
            multiplier is above 0, at any λ.
        cautious: whether an entry decays only where the step moves it towards 0 as well (Chen et
            al. 2025, arXiv 2510.12402), under any coupling but `"l2"`.
        timescale: steps τ in which the decay forgets, instead of λ; or (epochs, steps per epoch).
            λ = 1/(η_peak τ), and 1/τ under `"independent"` (Wang & Aitchison 2024, arXiv
            2405.13698).
        **kwargs: those of `keras.optimizers.Optimizer`: clipping, moving average of the weights,
            gradient accumulation, loss scaling, name.

    Raises:
        ValueError: if an argument is not as said; when it is built, if a variable has no rule or a
            rule no variable.
        TypeError: if `weight_decay` is assigned to while a schedule gives it.
    """

    def __init__(self, learning_rate=0.01, weight_decay=None, momentum=0.0, nesterov=False,
                 coupling="decoupled", decay_rules="all", peak_learning_rate=None,
                 effective_rate=False, cautious=False, timescale=None, **kwargs):  # fmt: skip
        super().__init__(
            SGD(momentum, nesterov),
            ("buffer",),
            learning_rate,
            weight_decay=0.0005 if weight_decay is None and timescale is None else weight_decay,
            coupling=coupling,
            decay_rules=decay_rules,
            peak_learning_rate=peak_learning_rate,
            effective_rate=effective_rate,
            cautious=cautious,
            timescale=timescale,
            **kwargs,
        )

    def get_config(self):
        rule = self.update.rule
        return {**super().get_config(), "momentum": rule.momentum, "nesterov": rule.nesterov}
