"""A linear rise before another schedule."""

from dataclasses import dataclass

import keras
from keras import ops

from wdattn.schedules.schedule import Foreign, Schedule, count, number, part, peak_of

__all__ = ["Warmup"]


@keras.saving.register_keras_serializable("wdattn")
@dataclass(frozen=True)
class Warmup(Schedule):
    r"""A straight line up to another schedule, which then runs by a clock of its own.

    $$v_t = a + (s_0 - a) \, t / T \ \text{ for } t < T, \qquad
    v_t = s_{t - T} \ \text{ from then on}$$

    Args:
        steps: int >= 1, the number T of steps before the other schedule starts.
        then: schedule s, or float >= 0 for a constant one.
        start: float >= 0, the value a at step 0. At 0 the first step does not move a weight.

    Raises:
        ValueError: if an argument is not in its range.
    """

    steps: int
    then: Foreign | float
    start: float = 0.0

    def __post_init__(self):
        count(self, "steps")
        number(self, "start")
        object.__setattr__(self, "then", part("then", self.then))

    @property
    def peak(self):
        peak = peak_of(self.then)
        return None if peak is None else max(self.start, peak)

    def at(self, step):
        share = ops.clip(step / self.steps, 0, 1)
        after = self.then(ops.where(step > self.steps, step - self.steps, 0))
        return self.start * (1 - share) + after * share
