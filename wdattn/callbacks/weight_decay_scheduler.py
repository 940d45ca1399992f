"""A weight decay set anew at the start of each epoch."""

from collections.abc import Callable

import keras
from keras import ops

from wdattn import arguments
from wdattn.optimizers.stock import unwrapped
from wdattn.optimizers.weight_decay import WeightDecay

__all__ = ["WeightDecayScheduler"]


class WeightDecayScheduler(keras.callbacks.Callback):
    """Sets the weight decay at the start of each epoch, as `LearningRateScheduler` does the rate.

    For a decay that changes from step to step give the optimizer a schedule instead. The epoch's
    decay stands as `weight_decay` in the logs, and so in the history.

    Args:
        schedule: callable `(epoch, weight_decay)`, an int from 0 and a float, to a float >= 0.

    Raises:
        ValueError: if `schedule` is not callable; during `fit`, if it returns something else, or
            the optimizer is not one of ours: on JAX and TensorFlow a stock one takes no notice.
    """

    def __init__(self, schedule: Callable[[int, float], float]):
        super().__init__()
        self.schedule = arguments.function("schedule", schedule)

    def on_epoch_begin(self, epoch, logs=None):
        # Through `self.model`: on JAX, what is assigned to an optimizer at hand is lost.
        optimizer = unwrapped(self.model.optimizer)
        if not isinstance(optimizer, WeightDecay):
            raise ValueError(
                "`optimizer` must be one of wdattn.optimizers for its decay to follow a callback, "
                f"got {optimizer!r}"
            )
        decay = self.schedule(epoch, _decay(optimizer))
        if not arguments.is_real(decay) or decay < 0:
            raise ValueError(f"`schedule` must return a finite number >= 0, got {decay!r}")
        optimizer.weight_decay = float(decay)

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["weight_decay"] = _decay(unwrapped(self.model.optimizer))


def _decay(optimizer):
    return float(ops.convert_to_numpy(optimizer.weight_decay))
