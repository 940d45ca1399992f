"""Muon with weight decay, for attention's kernels too."""

import keras

from wdattn.optimizers.muon_rule import MuonRule
from wdattn.optimizers.rule_optimizer import RuleOptimizer
from wdattn.optimizers.update_rules import Adam

__all__ = ["Muon"]


@keras.saving.register_keras_serializable("wdattn")
class Muon(RuleOptimizer):
    r"""Momentum whose matrices are orthogonalised, with the weight decay of `AdamW`.

    $$m \leftarrow \mu m + g, \qquad d = 0.2 \sqrt{\max(A, B)} \; \mathrm{NS}(g + \mu m)$$

    Liu et al. (2025, arXiv 2502.16982), for matrices of shape (A, B): kernels of rank 2, and those
    of attention, whose three axes are flattened to (features, heads * width) and back.
    `keras.optimizers.Muon` sends every variable whose rank is not 2 to Adam, so attention never
    sees it. Biases, norms, embeddings and LoRA matrices move by Adam at the same rate and decay.
    Five products of the smaller side of each matrix are the cost of a step.

    Args:
        learning_rate: float >= 0, schedule, or function without arguments. η_t, read at each step.
        weight_decay: float >= 0, schedule, or registered function from the step to a scalar: λ_t.
            A float is kept in a variable: assign to `weight_decay` to change it while `fit` runs.
            None is 0.1, or what `timescale` says.
        momentum: float in [0, 1). μ.
        nesterov: whether the direction looks one step ahead.
        iterations: int >= 1. Of Newton and Schulz.
        exclude: regular expressions for `re.search` on the path of matrices that move by Adam, such
            as the head of a language model.
        beta_1: float in [0, 1). Decay of Adam's mean, for the other variables.
        beta_2: float in [0, 1). Decay of Adam's square.
        epsilon: float > 0. Of Adam.
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

    def __init__(self, learning_rate=0.001, weight_decay=None, momentum=0.95, nesterov=True,
                 iterations=5, exclude=(), beta_1=0.9, beta_2=0.999, epsilon=1e-8,
                 coupling="decoupled", decay_rules="all", peak_learning_rate=None,
                 effective_rate=False, cautious=False, timescale=None, **kwargs):  # fmt: skip
        super().__init__(
            MuonRule(momentum, nesterov, iterations, Adam(beta_1, beta_2, epsilon), exclude),
            ("buffer", "square"),
            learning_rate,
            weight_decay=0.1 if weight_decay is None and timescale is None else weight_decay,
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
        return {
            **super().get_config(),
            "momentum": rule.momentum,
            "nesterov": rule.nesterov,
            "iterations": rule.iterations,
            "exclude": list(rule.exclude),
            "beta_1": rule.adam.beta_1,
            "beta_2": rule.adam.beta_2,
            "epsilon": rule.adam.epsilon,
        }
