"""A constant over another schedule."""

from dataclasses import dataclass

import keras
from keras import ops

from wdattn.schedules.schedule import Foreign, Schedule, number, part

__all__ = ["InverseTo"]


@keras.saving.register_keras_serializable("wdattn")
@dataclass(frozen=True)
class InverseTo(Schedule):
    r"""A constant over another schedule: a decay that keeps ηλ constant.

    $$v_t = c / s_t, \qquad v_t = 0 \ \text{ where } s_t = 0$$

    Where the rate is 0, as in the first step of a warmup, nothing could decay anyway.

    Args:
        rate: schedule s, or float >= 0 for a constant one.
        product: float >= 0, the product c = v s.

    Raises:
        ValueError: if an argument is not in its range.
    """

    rate: Foreign | float
    product: float

    def __post_init__(self):
        object.__setattr__(self, "rate", part("rate", self.rate))
        number(self, "product")

    @property
    def peak(self):
        """None: it depends on the smallest rate."""
        return None

    def at(self, step):
        rate = self.rate(step)
        moves = rate > 0
        return ops.where(moves, self.product / ops.where(moves, rate, 1), 0)
