"""Adam with weight decay, in the papers' form."""

import keras

from wdattn.optimizers.rule_optimizer import RuleOptimizer
from wdattn.optimizers.update_rules import Adam

__all__ = ["AdamW"]


@keras.saving.register_keras_serializable("wdattn")
class AdamW(RuleOptimizer):
    r"""Adam with weight decay that is scheduled, aimed by rules, settable, shown and saved.

    $$m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2,
    \quad d = \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}$$

    Kingma & Ba (2015), Algorithm 1, with the decay of Loshchilov & Hutter (2019), Algorithm 2, or
    another of `COUPLINGS`. As in `torch.optim.AdamW`, epsilon stands after the bias correction;
    `keras.optimizers.AdamW` adds it before. A step clips, then decays, then moves along d.

    Args:
        learning_rate: float >= 0, schedule, or function without arguments. η_t, read at each step.
        weight_decay: float >= 0, schedule, or registered function from the step to a scalar: λ_t.
            A float is kept in a variable: assign to `weight_decay` to change it while `fit` runs.
            None is 0.004, or what `timescale` says.
        beta_1: float in [0, 1). Decay of the gradient's moving average.
        beta_2: float in [0, 1). Decay of the squared gradient's moving average.
        epsilon: float > 0.
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

    def __init__(self, learning_rate=0.001, weight_decay=None, beta_1=0.9, beta_2=0.999,
                 epsilon=1e-8, coupling="decoupled", decay_rules="all", peak_learning_rate=None,
                 effective_rate=False, cautious=False, timescale=None, **kwargs):  # fmt: skip
        super().__init__(
            Adam(beta_1, beta_2, epsilon),
            ("mean", "square"),
            learning_rate,
            weight_decay=0.004 if weight_decay is None and timescale is None else weight_decay,
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
            "beta_1": rule.beta_1,
            "beta_2": rule.beta_2,
            "epsilon": rule.epsilon,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The optimizer with this config, or with that of `keras.optimizers.AdamW`."""
        config = dict(config)
        if config.pop("amsgrad", False):
            raise ValueError("`amsgrad` must be False, got True: this Adam has no such form")
        return super().from_config(config, custom_objects)
