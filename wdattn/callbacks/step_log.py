"""What each step of `fit` really was."""

from pathlib import Path

import keras
from keras import ops

from wdattn.callbacks.row_file import RowFile
from wdattn.optimizers.stock import unwrapped

__all__ = ["StepLog"]


class StepLog(keras.callbacks.Callback):
    """Records the loss, rate, decay and gradient norm of single steps of `fit`.

    Keras's own `logs["loss"]` at the end of a batch is the mean of the epoch so far. Here it is the
    step's: the difference of the running sum, in float32, before and after. A row holds

    - `step`, from 0 and over all epochs, and `epoch`, from 0;
    - `loss`: of the step's batch, before the update, penalties included;
    - `learning_rate`: with which the step was taken;
    - `weight_decay` and `rate_times_decay`, before the rules' multipliers, where the optimizer has
      a decay;
    - `gradient_norm`: of all gradients before clipping, where the optimizer is one of ours.

    On the steps that it records it reads the model before and after, for which Keras on JAX copies
    the state twice. With `steps_per_execution` above 1 a row is about one execution.

    Args:
        every: int >= 1. Records the steps whose number is a multiple of it.
        file: None, or a path that ends in `.csv` or `.jsonl`, to which each row is appended.

    Raises:
        ValueError: if an argument is not of this kind.
    """

    def __init__(self, every: int = 1, file: str | Path | None = None):
        super().__init__()
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ValueError(f"`every` must be an int of 1 or more, got {every!r}")
        self.every = every
        self.rows: list[dict[str, float]] = []
        self._file = None if file is None else RowFile(file)
        self._step, self._epoch = 0, 0
        self._row: dict[str, float] | None = None

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if self._step % self.every:
            return
        optimizer = unwrapped(self.model.optimizer)
        self._row = {"step": self._step, "epoch": self._epoch, "loss": 0.0}
        self._row["learning_rate"] = rate = _number(optimizer.learning_rate)
        if optimizer.weight_decay is not None:
            self._row["weight_decay"] = decay = _number(optimizer.weight_decay)
            self._row["rate_times_decay"] = rate * decay
        self._before = self._sums()

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1
        if self._row is None:
            return
        (total, count), (total_before, count_before) = self._sums(), self._before
        self._row["loss"] = (total - total_before) / (count - count_before)
        norm = getattr(unwrapped(self.model.optimizer), "gradient_norm", None)
        if norm is not None:
            self._row["gradient_norm"] = _number(norm)
        self.rows.append(self._row)
        if self._file is not None:
            self._file.append(self._row)
        self._row = None

    def _sums(self):
        """The running sum of the losses and of their weights, the batches' sizes."""
        tracker = next(metric for metric in self.model.metrics if metric.name == "loss")
        return _number(tracker.total), _number(tracker.count)


def _number(scalar):
    return float(ops.convert_to_numpy(scalar))
