"""A straight line from one value to another."""

from dataclasses import dataclass

import keras
from keras import ops

from wdattn.schedules.schedule import Schedule, count, number

__all__ = ["Linear"]


@keras.saving.register_keras_serializable("wdattn")
@dataclass(frozen=True)
class Linear(Schedule):
    r"""A straight line, then its end.

    $$v_t = a + (b - a) \min(t / T, 1)$$

    Args:
        start: float >= 0, the value a at step 0.
        end: float >= 0, the value b from step T on.
        steps: int >= 1, the number T of steps.

    Raises:
        ValueError: if an argument is not in its range.
    """

    start: float
    end: float
    steps: int

    def __post_init__(self):
        number(self, "start", "end")
        count(self, "steps")

    @property
    def peak(self):
        return max(self.start, self.end)

    def at(self, step):
        share = ops.clip(step / self.steps, 0, 1)
        return self.start * (1 - share) + self.end * share
