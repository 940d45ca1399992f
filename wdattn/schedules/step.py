"""A value that changes by a factor at given steps."""

from dataclasses import dataclass

import keras
from keras import ops

from wdattn.schedules.schedule import Schedule, number, rising

__all__ = ["Step"]


@keras.saving.register_keras_serializable("wdattn")
@dataclass(frozen=True)
class Step(Schedule):
    """A value that is multiplied by a factor at given steps; off at step N with the factor 0.

    Args:
        start: float >= 0, the value at step 0.
        boundaries: int >= 1, or a sequence of them in rising order: the steps at which the value
            changes.
        factor: float in [0, 1].

    Raises:
        ValueError: if an argument is not in its range.

    Examples:
        >>> from wdattn.schedules import Step
        >>> Step(1.0, boundaries=(1, 3), factor=0.5).values(5).tolist()
        [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    start: float
    boundaries: int | tuple[int, ...]
    factor: float = 0.0

    def __post_init__(self):
        number(self, "start")
        number(self, "factor", high=1.0)
        object.__setattr__(self, "boundaries", rising("boundaries", self.boundaries))

    @property
    def peak(self):
        return self.start

    def at(self, step):
        value = self.start + 0 * step
        for place in self.boundaries:
            value = ops.where(step < place, value, value * self.factor)
        return value
