"""What one optimizer does in a step, declared once for `fit` and for the replicas."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from wdattn.arguments import choice, flag, is_real
from wdattn.optimizers.coupling import COUPLINGS
from wdattn.optimizers.decay_rules import DecayRules
from wdattn.optimizers.knob import Knob
from wdattn.optimizers.update_rules import Adam
from wdattn.schedules import Schedule
from wdattn.schedules.schedule import Foreign

__all__ = ["Update"]

_RANGES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "learning_rate": ("finite and >= 0", lambda x: np.isfinite(x) & (x >= 0)),
    "weight_decay": ("finite and >= 0", lambda x: np.isfinite(x) & (x >= 0)),
    "decay_rules": ("finite and >= 0", lambda x: np.isfinite(x) & (x >= 0)),
    "clipnorm": ("> 0", lambda x: x > 0),
    "average": ("in [0, 1)", lambda x: (x >= 0) & (x < 1)),
    "peak_learning_rate": ("finite and > 0", lambda x: np.isfinite(x) & (x > 0)),
}
"""What each field allows, whether it is given or turned by a knob."""


@dataclass(frozen=True)
class Update:
    r"""One optimizer's step: rule, rate, decay, and what surrounds them.

    A step clips the gradient, takes a direction d from it by the rule, decays the weights and moves
    them along d, then applies `after`, and last averages the weights:

    $$g \leftarrow g \min(1, c / \lVert g \rVert), \quad p \leftarrow p - \eta_t (d + \lambda_t p),
    \quad p \leftarrow \mathrm{after}(p), \quad a \leftarrow \mu a + (1 - \mu) p$$

    with the decay as the coupling says. `wdattn.optimizers.AdamW`, `SGDW` and `Muon` are this in a
    Keras optimizer, and `wdattn.replicas.Replicas` takes it as it is, so that both train alike. A
    field that takes a number takes a `Knob`, which each run gives.

    Args:
        rule: update rule of `update_rules`.
        learning_rate: float >= 0, knob, or schedule of `wdattn.schedules` or Keras. η_t.
        weight_decay: float >= 0, knob, or schedule. λ_t.
        decay_rules: as `DecayRules` takes them; the multipliers may be knobs.
        coupling: one of `COUPLINGS`.
        cautious: whether an entry decays only where u p >= 0, with u the direction that is
            subtracted (Chen et al. 2025, arXiv 2510.12402). Not with `"l2"`.
        clipnorm: float > 0, knob or None. Largest norm of the gradient of all variables together.
        average: float in [0, 1), knob or None. μ of a moving average of the weights, which
            starts at the weights after the first step. It is part of the training state.
        effective_rate: whether `learning_rate` is η/‖w‖, with w all variables whose decay
            multiplier is not 0, at any λ.
        peak_learning_rate: float > 0, knob or None. η_peak; None takes the peak that a schedule of
            `wdattn.schedules` states, or the rate itself where it is a number.
        after: None, or a function of the new weights, path to tensor, and the knobs, name to
            scalar tensor, to the weights it changes, path to tensor: a projection, a proximal step.

    Raises:
        ValueError: if an argument is not as said, or the peak is needed and unknown.

    Examples:
        >>> from wdattn.optimizers import Knob, Update, update_rules
        >>> from wdattn.schedules import Cosine
        >>> attention = ("attention", Knob("attention_decay"), 1.0)
        >>> update = Update(
        ...     update_rules.Adam(),
        ...     Cosine(0.001, steps=1000),
        ...     weight_decay=1.0,
        ...     decay_rules=[attention, (".*", Knob("other_decay"), 1.0)],
        ... )
        >>> sorted(update.knobs)
        ['attention_decay', 'other_decay']
    """

    rule: Any = field(default_factory=Adam)
    learning_rate: float | Foreign | Knob = 0.001
    weight_decay: float | Foreign | Knob = 0.0
    decay_rules: str | Sequence | DecayRules = "all"
    coupling: str = "decoupled"
    cautious: bool = False
    clipnorm: float | Knob | None = None
    average: float | Knob | None = None
    effective_rate: bool = False
    peak_learning_rate: float | Knob | None = None
    after: Callable[[dict[str, Any], Mapping[str, Any]], Mapping[str, Any]] | None = None

    def __post_init__(self):
        if not hasattr(self.rule, "slots"):
            raise ValueError(f"`rule` must be a rule of `update_rules`, got {self.rule!r}")
        choice("coupling", self.coupling, COUPLINGS)
        flag("effective_rate", self.effective_rate)
        flag("cautious", self.cautious)
        if self.cautious and COUPLINGS[self.coupling].removed is None:
            raise ValueError("`cautious` must be False under coupling 'l2', got True")
        if not (self.after is None or callable(self.after)):
            raise ValueError(f"`after` must be a function or None, got {self.after!r}")
        if not isinstance(self.decay_rules, DecayRules):
            object.__setattr__(self, "decay_rules", DecayRules(self.decay_rules))
        for name in ("learning_rate", "weight_decay"):
            if not isinstance(getattr(self, name), Foreign):
                self._check(name)
        for name in ("clipnorm", "average", "peak_learning_rate"):
            if getattr(self, name) is not None:
                self._check(name)
        if COUPLINGS[self.coupling].needs_peak and self.peak is None:
            raise ValueError(
                f"`peak_learning_rate` must be given for coupling {self.coupling!r}, since the "
                f"peak of {self.learning_rate!r} is not known, got {self.peak_learning_rate!r}"
            )

    def _check(self, name):
        value, (allowed, fits) = getattr(self, name), _RANGES[name]
        if isinstance(value, Knob):
            return
        numeric = is_real(value) or (name == "clipnorm" and value == math.inf)
        if not (numeric and fits(value)):
            kinds = "a knob" if name in ("clipnorm", "average") else "a schedule or a knob"
            raise ValueError(f"`{name}` must be {allowed}, or {kinds}, got {value!r}")

    @property
    def slots(self) -> int:
        """Arrays kept for each parameter: those of the rule, and the average."""
        return self.rule.slots + (self.average is not None)

    @property
    def peak(self) -> float | Knob | None:
        """η_peak, as given or as the rate states it; None where it is not known."""
        if self.peak_learning_rate is not None:
            return self.peak_learning_rate
        if isinstance(self.learning_rate, Schedule):
            return self.learning_rate.peak or None
        return self.learning_rate or None if is_real(self.learning_rate) else None

    @property
    def knobs(self) -> dict[str, str]:
        """Name of each knob to the field that it turns."""
        given = [(one.name, getattr(self, one.name)) for one in fields(self)]
        given += [("decay_rules", x) for rule in self.decay_rules.rules for x in rule[1:3]]
        return {value.name: name for name, value in given if isinstance(value, Knob)}

    def check_knob(self, name: str, values: Any) -> np.ndarray:
        """The values of a knob, if it can take them.

        Args:
            name: of the knob; one that only `after` reads may have any number.
            values: number or array of numbers.

        Returns:
            Array of floats.

        Raises:
            ValueError: if a value is out of the range of the field that the knob turns.
        """
        values = np.asarray(values)
        allowed, fits = _RANGES.get(self.knobs.get(name, ""), ("a number", np.isfinite))
        if values.dtype.kind not in "iuf" or not np.all(fits(values)):
            raise ValueError(f"knob `{name}` must be {allowed}, got {values.tolist()!r}")
        return values

    def check_rules(self, paths: Sequence[str], known: Sequence[str] = ()) -> None:
        """Raises unless the decay rules fit a model.

        Args:
            paths: of its trainable variables.
            known: of its other variables.

        Raises:
            ValueError: if a variable has no rule, a rule no variable, or the effective rate no
                variable whose norm it could take.
        """
        rules = self.decay_rules.match(paths, known)
        if self.effective_rate and not any(decay != 0 for _, decay, _ in rules):
            raise ValueError("`effective_rate` must have a variable whose decay multiplier is > 0")
