"""Decay with the root of time."""

from dataclasses import dataclass

import keras
from keras import ops

from wdattn.schedules.schedule import Schedule, count, number

__all__ = ["InverseSquareRoot"]


@keras.saving.register_keras_serializable("wdattn")
@dataclass(frozen=True)
class InverseSquareRoot(Schedule):
    r"""A value that falls with the root of the step, as in Vaswani et al. (2017), section 5.3.

    $$v_t = a / \sqrt{1 + t / T}$$

    After `Warmup(T, InverseSquareRoot(a, T))` this is theirs: $a \sqrt{T / t}$ from step T on.

    Args:
        start: float >= 0, the value a at step 0.
        steps: int >= 1, the number T of steps after which the value is a/√2.

    Raises:
        ValueError: if an argument is not in its range.
    """

    start: float
    steps: int

    def __post_init__(self):
        number(self, "start")
        count(self, "steps")

    @property
    def peak(self):
        return self.start

    def at(self, step):
        return self.start * ops.rsqrt(1 + step / self.steps)
