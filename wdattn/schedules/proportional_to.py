"""A fixed multiple of another schedule."""

from dataclasses import dataclass

import keras

from wdattn.schedules.schedule import Foreign, Schedule, number, part, peak_of

__all__ = ["ProportionalTo"]


@keras.saving.register_keras_serializable("wdattn")
@dataclass(frozen=True)
class ProportionalTo(Schedule):
    r"""A multiple of another schedule: a decay that keeps λ/η constant.

    $$v_t = c \, s_t$$

    Args:
        rate: schedule s, or float >= 0 for a constant one.
        factor: float >= 0, the quotient c = v/s.

    Raises:
        ValueError: if an argument is not in its range.
    """

    rate: Foreign | float
    factor: float

    def __post_init__(self):
        object.__setattr__(self, "rate", part("rate", self.rate))
        number(self, "factor")

    @property
    def peak(self):
        peak = peak_of(self.rate)
        return None if peak is None else self.factor * peak

    def at(self, step):
        return self.factor * self.rate(step)
