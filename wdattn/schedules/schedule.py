"""What all schedules share: checked numbers, a config made of the fields, values as an array."""

import dataclasses
import math
from numbers import Integral, Real

import keras
import numpy as np
from keras import ops

__all__ = ["Schedule"]

Foreign = keras.optimizers.schedules.LearningRateSchedule


class Schedule(Foreign):
    """Base of the schedules: a value at each step, for a learning rate or a weight decay alike.

    A subclass is a frozen dataclass with a method `at(step)`. Where an argument is a schedule, a
    number stands for a constant one, and any Keras schedule will do.

    Each is a `keras.optimizers.schedules.LearningRateSchedule`: Keras's own optimizers take it as
    their rate. It is called with the number of the step, from 0, as an integer or a scalar tensor,
    and gives a scalar tensor of `keras.config.floatx()`, or of float64 for a step of float64.
    """

    def __call__(self, step):
        double = ops.is_tensor(step) and "float64" in str(step.dtype)
        dtype = "float64" if double else keras.config.floatx()
        return ops.cast(self.at(ops.cast(step, dtype)), dtype)

    def at(self, step):
        """The value at a step.

        Args:
            step: scalar float tensor, counted from 0.

        Returns:
            Scalar tensor.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `at(step)`")

    @property
    def peak(self) -> float | None:
        """The largest value of all steps, or None where that is not known."""
        raise NotImplementedError(f"{type(self).__name__} must define `peak`")

    def values(self, steps):
        """The values of the first steps, to plot or to sum.

        Args:
            steps: int >= 1, or a sequence of step numbers.

        Returns:
            `(steps,)` array of the default float type.

        Examples:
            >>> from wdattn.schedules import Linear
            >>> Linear(1.0, 0.0, steps=4).values(6).tolist()
            [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
        """
        steps = np.arange(steps) if isinstance(steps, Integral) else np.asarray(steps)
        return np.array([float(ops.convert_to_numpy(self(int(step)))) for step in steps],
                        keras.config.floatx())  # fmt: skip

    def get_config(self):
        """The fields, with schedules inside serialised."""
        return {
            field.name: _packed(getattr(self, field.name)) for field in dataclasses.fields(self)
        }

    @classmethod
    def from_config(cls, config):
        """The schedule with these fields."""
        return cls(**{name: _unpacked(value) for name, value in config.items()})


def _packed(value):
    if isinstance(value, Foreign):
        return keras.saving.serialize_keras_object(value)
    return [_packed(one) for one in value] if isinstance(value, tuple) else value


def _unpacked(value):
    if isinstance(value, dict):
        return keras.saving.deserialize_keras_object(value)
    return tuple(_unpacked(one) for one in value) if isinstance(value, list) else value


def number(schedule, *names, low=0.0, high=math.inf, above=False):
    """Checks that fields are finite numbers in [low, high]; (low, high] with `above`."""
    for name in names:
        value = getattr(schedule, name)
        real = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        if not (real and low <= value <= high and not (above and value == low)):
            least = f"> {low:g}" if above else f">= {low:g}"
            most = "" if high == math.inf else f" and <= {high:g}"
            raise ValueError(f"`{name}` must be finite, {least}{most}, got {value!r}")


def count(schedule, *names):
    """Checks that fields are integers of at least 1."""
    for name in names:
        value = getattr(schedule, name)
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"`{name}` must be an integer >= 1, got {value!r}")


def rising(name, values):
    """A tuple of integers of at least 1, each larger than the one before; one stands for itself."""
    places = (values,) if isinstance(values, Integral) else tuple(values)
    whole = all(isinstance(place, Integral) and not isinstance(place, bool) for place in places)
    if not (places and whole and places[0] >= 1 and sorted(set(places)) == list(places)):
        raise ValueError(f"`{name}` must be integers >= 1 in rising order, got {values!r}")
    return places


def part(name, value):
    """A schedule, from one or from a number."""
    from wdattn.schedules.constant import Constant

    if isinstance(value, Foreign):
        return value
    if isinstance(value, Real) and not isinstance(value, bool) and 0 <= value < math.inf:
        return Constant(value)
    raise ValueError(f"`{name}` must be a schedule or a finite number >= 0, got {value!r}")


def peak_of(schedule):
    """The stated peak of a schedule; None for a foreign one."""
    return schedule.peak if isinstance(schedule, Schedule) else None
