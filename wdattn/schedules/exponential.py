"""Decay by the same factor in the same time."""

from dataclasses import dataclass

import keras
from keras import ops

from wdattn.schedules.schedule import Schedule, count, number

__all__ = ["Exponential"]


@keras.saving.register_keras_serializable("wdattn")
@dataclass(frozen=True)
class Exponential(Schedule):
    r"""A value that falls by one factor in each stretch of steps, and smoothly in between.

    $$v_t = a \, \gamma^{t / T}$$

    Args:
        start: float >= 0, the value a at step 0.
        factor: float in (0, 1], the factor γ.
        steps: int >= 1, the number T of steps in which the value falls by the factor.

    Raises:
        ValueError: if an argument is not in its range.
    """

    start: float
    factor: float
    steps: int

    def __post_init__(self):
        number(self, "start")
        number(self, "factor", high=1.0, above=True)
        count(self, "steps")

    @property
    def peak(self):
        return self.start

    def at(self, step):
        return self.start * ops.power(ops.cast(self.factor, step.dtype), step / self.steps)
