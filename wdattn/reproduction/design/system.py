"""What a paper provides so that the engine can train and measure its runs."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wdattn.reproduction.design.settings import Settings

Weights = Mapping[str, np.ndarray]
"""Path of each variable of a model to its array."""


def constant_knobs(settings: Settings, step: int) -> dict[str, float]:
    """The rate, decay and clipping norm of the settings, at every step."""
    return {
        "learning_rate": settings.learning_rate or 0.0,
        "weight_decay": settings.weight_decay,
        "clipnorm": math.inf if settings.clipnorm is None else settings.clipnorm,
    }


@dataclass(frozen=True)
class System:
    """A model and how it is trained, for runs that may be stacked.

    Where settings are references to another run, `start` and `knobs` take one argument more:
    the name of each such setting to the weights, by path, or to the iterates and values of the
    column that it points to.

    Args:
        model: built `keras.Model`; its trainable variables are the parameters.
        loss: `(y_true, y_pred)` to a scalar tensor.
        update: `wdattn.optimizers.Update`, the step of every run.
        start: settings to the weights of iterate 0, by path; of variables that are not trained
            too.
        batch: settings and step to the `(x, y)` of that step; a pure function of them.
        knobs: settings and step to name and value of each knob of `update` at that step; a pure
            function of them.
        skip_nonfinite: skip and count the steps of a run whose gradient is not finite.
    """

    model: Any
    loss: Callable[[Any, Any], Any]
    update: Any
    start: Callable[..., Weights]
    batch: Callable[[Settings, int], tuple[np.ndarray, np.ndarray]]
    knobs: Callable[..., Mapping[str, float]] = constant_knobs
    skip_nonfinite: bool = False


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One iterate of one run, as a measure sees it.

    Args:
        settings: the run.
        system: what trains it.
        step: which iterate; 0 is the start.
        weights: of this iterate, by path, trainable variables first.
        following: gives the weights of the next iterate; None at the last.
        average: moving average of the weights, by path, where `system.update` keeps one.
    """

    settings: Settings
    system: System
    step: int
    weights: Weights
    following: Callable[[], Weights] | None = None
    average: Weights | None = None

    def model(self):
        """The system's model, carrying this iterate's weights."""
        from wdattn.replicas.starts import paths_of, variables_of  # loads Keras

        model = self.system.model
        for path, variable in zip(paths_of(model), variables_of(model), strict=True):
            variable.assign(self.weights[path])
        return model

    def update(self) -> list[np.ndarray]:
        """Next iterate minus this one, trainable variables only; a ValueError at the last."""
        if self.following is None:
            raise ValueError(f"iterate {self.step} is the last of {self.settings}: no step follows")
        after, count = self.following(), len(self.system.model.trainable_variables)
        return [after[path] - self.weights[path] for path in list(self.weights)[:count]]

    def averaged(self) -> "Snapshot":
        """The same iterate with the moving average in place of its weights."""
        if self.average is None:
            raise ValueError("the system's `update` must keep an `average` of the weights")
        return replace(self, weights=self.average, following=None, average=None)

    def refreshed(self, x: np.ndarray) -> "Snapshot":
        """The same iterate with batch statistics taken anew on training data.

        Args:
            x: `(batch, ...)` array, or as `diagnostics.refresh_batch_statistics` takes it.
        """
        from wdattn.diagnostics import refresh_batch_statistics  # loads Keras
        from wdattn.replicas import weights_by_path

        model = self.model()
        refresh_batch_statistics(model, x)
        return replace(self, weights=weights_by_path(model))


Measure = Callable[[Snapshot], Any]
