"""The same value at every step."""

from dataclasses import dataclass

import keras

from wdattn.schedules.schedule import Schedule, number

__all__ = ["Constant"]


@keras.saving.register_keras_serializable("wdattn")
@dataclass(frozen=True)
class Constant(Schedule):
    """The same value at every step.

    Args:
        value: float >= 0.

    Raises:
        ValueError: if the value is not finite or is negative.
    """

    value: float

    def __post_init__(self):
        number(self, "value")

    @property
    def peak(self):
        return self.value

    def at(self, step):
        return self.value + 0 * step
