"""How many batches `fit` has trained on."""

from collections import deque

import keras
from keras import ops

from wdattn.optimizers.stock import unwrapped


class Steps:
    """Counts the batches of one or several `fit`, from what Keras tells a callback.

    Keras gives the number within the epoch of the batch that an execution begins and ends with.
    With `steps_per_execution` above 1 the second one is where the last execution of an epoch would
    end if the data did not, so that there the optimizer is asked how many steps it took; one that
    does not step (a model with others of its own) leaves the number that Keras planned for.
    """

    def __init__(self):
        self.total = 0
        """Batches of the epochs that have ended."""
        self._start = 0
        self._ended: deque[int] = deque(maxlen=1024)  # threads may append out of order

    def before(self, batch: int) -> int:
        """Batches before this one of the present epoch."""
        return self.total + batch

    def begin_epoch(self, model: keras.Model) -> None:
        """Notes where the optimizer stands, if it must be asked at the end."""
        self._start = _iterations(model) if model.steps_per_execution > 1 else 0

    def end_batch(self, batch: int) -> None:
        """Notes the last batch of an execution."""
        self._ended.append(batch)

    def end_epoch(self, model: keras.Model, planned: int | None) -> None:
        """Adds the epoch's batches, of which Keras planned for so many, or does not know."""
        taken = max(self._ended, default=-1) + 1
        if model.steps_per_execution > 1 and taken:
            stepped = _iterations(model) - self._start
            last = range(taken - model.steps_per_execution + 1, taken + 1)
            taken = stepped if stepped in last else min(taken, planned or taken)
        self.total += taken
        self._ended.clear()


def _iterations(model: keras.Model) -> int:
    optimizer = unwrapped(model.optimizer)
    return 0 if optimizer is None else int(ops.convert_to_numpy(optimizer.iterations))
