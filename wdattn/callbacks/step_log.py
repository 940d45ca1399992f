"""What each step of `fit` really was."""

from pathlib import Path

import keras
from keras import ops

from wdattn import arguments
from wdattn.callbacks.row_file import RowFile
from wdattn.callbacks.steps import Steps
from wdattn.optimizers.stock import unwrapped

__all__ = ["StepLog"]


class StepLog(keras.callbacks.Callback):
    """Records the loss, rate, decay and gradient norm of single steps of `fit`.

    Keras's own `logs["loss"]` at the end of a batch is the mean of the epoch so far. Here it is the
    step's: the difference of the running sum, in float32, before and after. A row holds

    - `step`, from 0 and over all epochs, and `epoch`, from 0;
    - `loss`: of the step's batch, before the update, penalties included. A model that keeps running
      means of its own (`keras.metrics.Mean` among its `metrics`) has a column for each of them
      under its name, NaN where the step did not update it;
    - `learning_rate`: with which the step was taken;
    - `weight_decay` and `rate_times_decay`, before the rules' multipliers, where the optimizer has
      a decay;
    - `decay_clock`: the sum of `rate_times_decay` over all steps up to this one and with it, where
      the optimizer counts it: the clock by which decay acts;
    - `gradient_norm`: of all gradients before clipping, where the optimizer is one of ours. Not
      where the batch is split over several devices, since each sees its own part alone.

    On the steps that it records it reads the model before and after, for which Keras on JAX copies
    the state twice. With `steps_per_execution` above 1 a row is about an execution that holds a
    step to be recorded: `step` and the rate and decay are those of its first step, the loss is the
    mean over its samples, and what is read afterwards is that of its last step.

    Args:
        every: int >= 1. Records the steps whose number is a multiple of it.
        file: None, or a path that ends in `.csv` or `.jsonl`, to which each row is appended.

    Raises:
        ValueError: if an argument is not of this kind.
    """

    def __init__(self, every: int = 1, file: str | Path | None = None):
        super().__init__()
        self.every = arguments.integer("every", every)
        self.rows: list[dict[str, float]] = []
        self._file = None if file is None else RowFile(file)
        self._steps, self._epoch = Steps(), 0
        self._row: dict[str, float] | None = None

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._steps.begin_epoch(self.model)
        self._at_once = self.model.steps_per_execution

    def on_train_batch_begin(self, batch, logs=None):
        step, planned = self._steps.before(batch), self.params.get("steps")
        coming = min(self._at_once, planned - batch) if planned else self._at_once
        self._row = None
        if -step % self.every >= max(coming, 1):  # no multiple of `every` among the coming steps
            return
        model, self._row = self.model, {"step": step, "epoch": self._epoch}
        self._sums = _sums(model)
        self._row |= dict.fromkeys(self._sums, float("nan"))
        optimizer = unwrapped(model.optimizer)
        if not isinstance(optimizer, keras.optimizers.MultiOptimizer):  # which has several rates
            self._row["learning_rate"] = rate = _number(optimizer.learning_rate)
            if optimizer.weight_decay is not None:
                self._row["weight_decay"] = decay = _number(optimizer.weight_decay)
                self._row["rate_times_decay"] = rate * decay

    def on_train_batch_end(self, batch, logs=None):
        self._steps.end_batch(batch)
        if self._row is None:
            return
        model = self.model
        for name, (total, count) in _sums(model).items():
            total_before, count_before = self._sums.get(name, (0.0, 0.0))
            if count > count_before:
                self._row[name] = (total - total_before) / (count - count_before)
        optimizer = unwrapped(model.optimizer)
        if (clock := getattr(optimizer, "decay_clock", None)) is not None:
            self._row["decay_clock"] = _number(clock)
        norm = getattr(optimizer, "gradient_norm", None)
        if norm is not None and not _split_over_devices(model):
            self._row["gradient_norm"] = _number(norm)
        self.rows.append(self._row)
        if self._file is not None:
            self._file.append(self._row)

    def on_epoch_end(self, epoch, logs=None):
        self._steps.end_epoch(self.model, self.params.get("steps"))


def _sums(model):
    """The running sum and the sum of the weights, the batches' sizes, of each mean of the model."""
    means = (metric for metric in model.metrics if isinstance(metric, keras.metrics.Mean))
    return {mean.name: (_number(mean.total), _number(mean.count)) for mean in means}


def _split_over_devices(model):
    strategy = getattr(model, "distribute_strategy", None)  # TensorFlow's models have one
    return getattr(strategy, "num_replicas_in_sync", 1) > 1


def _number(scalar):
    return float(ops.convert_to_numpy(scalar))
