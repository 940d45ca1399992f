"""Half a period of a cosine."""

import math
from dataclasses import dataclass

import keras
from keras import ops

from wdattn.schedules.schedule import Schedule, count, number

__all__ = ["Cosine"]


@keras.saving.register_keras_serializable("wdattn")
@dataclass(frozen=True)
class Cosine(Schedule):
    r"""Half a cosine down to a floor (Loshchilov & Hutter 2017, equation 5), then the floor.

    $$v_t = f + (a - f) \, \tfrac{1}{2} (1 + \cos(\pi \min(t / T, 1)))$$

    Args:
        start: float >= 0, the value a at step 0.
        steps: int >= 1, the number T of steps.
        floor: float >= 0, the value f from step T on.

    Raises:
        ValueError: if an argument is not in its range.
    """

    start: float
    steps: int
    floor: float = 0.0

    def __post_init__(self):
        number(self, "start", "floor")
        count(self, "steps")

    @property
    def peak(self):
        return max(self.start, self.floor)

    def at(self, step):
        angle = math.pi * ops.clip(step / self.steps, 0, 1)
        # sin^2(x/2) = (1 - cos x)/2 keeps its digits where the cosine is near 1.
        fallen = ops.square(ops.sin(angle / 2))
        return self.start * (1 - fallen) + self.floor * fallen
