"""What a paper provides so that the engine can train and measure its runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wdattn.reproduction.design.settings import Settings

Weights = list[np.ndarray]


@dataclass(frozen=True)
class System:
    """A model and how it is trained, for runs that may be stacked.

    Args:
        model: built `keras.Model`; its trainable variables are the parameters.
        loss: `(y_true, y_pred)` to a scalar tensor.
        update: `wdattn.optimizers.Update`, the step of every run.
        start: settings to the weights of iterate 0, trainable ones first.
        batch: settings and step to the `(x, y)` of that step; a pure function of them.
        skip_nonfinite: skip and count the steps of a run whose gradient is not finite.
    """

    model: Any
    loss: Callable[[Any, Any], Any]
    update: Any
    start: Callable[[Settings], Weights]
    batch: Callable[[Settings, int], tuple[np.ndarray, np.ndarray]]
    skip_nonfinite: bool = False


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One iterate of one run, as a measure sees it.

    Args:
        settings: the run.
        system: what trains it.
        step: which iterate; 0 is the start.
        weights: of this iterate.
        following: gives the weights of the next iterate; None at the last.
    """

    settings: Settings
    system: System
    step: int
    weights: Weights
    following: Callable[[], Weights] | None

    def model(self):
        """The system's model, carrying this iterate's weights."""
        model = self.system.model
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        for variable, weight in zip(variables, self.weights, strict=True):
            variable.assign(weight)
        return model

    def update(self) -> Weights:
        """Next iterate minus this one, trainable variables only; a ValueError at the last."""
        if self.following is None:
            raise ValueError(f"iterate {self.step} is the last of {self.settings}: no step follows")
        count = len(self.system.model.trainable_variables)
        pairs = zip(self.following()[:count], self.weights[:count], strict=True)
        return [after - before for after, before in pairs]


Measure = Callable[[Snapshot], Any]
