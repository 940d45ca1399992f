"""Diagnostics during `fit`."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from wdattn import arguments
from wdattn.callbacks.board import Board
from wdattn.callbacks.columns import columns
from wdattn.callbacks.row_file import RowFile
from wdattn.callbacks.steps import Steps


class Monitor(keras.callbacks.Callback):
    """Takes diagnostics every so many steps of `fit`, and at its start and end.

    A row holds `step`, how many batches the weights were trained on (0 at the start), `epoch`, from
    0, and the diagnostics' columns: a number stands under the diagnostic's name, the fields of a
    record and the entries of mappings and arrays behind it and a slash, as in
    `trace/standard_error`. A second `fit` with the same monitor goes on counting. A model that is
    not built when `fit` begins has no weights to measure at the start on TensorFlow, where its
    first step builds it: there the first row is that of step 1.

    On the steps in between it does not touch the model, which on JAX would copy the state.
    Where `keras.callbacks.TensorBoard` is in the same `fit`, the numbers stand there too, as the
    run "monitor" in its folder.

    Args:
        diagnostics: name to callable `diagnostic(model)` that returns a number, an array, a mapping
            or a record of these, such as `lambda model: hessian_trace(model, x, y, loss)`. One that
            has a parameter `previous`, as `wdattn.diagnostics.effective_rate` does, gets the
            trainable weights of one step before by that name, None where there are none: in the
            first and the last row, and with `steps_per_execution` above 1.
        every: int >= 1, steps.
        file: None, or a path that ends in `.csv` or `.jsonl`, to which each row is appended as soon
            as it is measured. The columns of a CSV file are those of its first row; in JSONL null
            stands for NaN and infinity.

    Raises:
        ValueError: if an argument is not of this kind; during `fit` if a diagnostic returns
            something else, or other columns than those of the CSV file.

    Examples:
        >>> import numpy as np
        >>> from wdattn.diagnostics import weight_norms
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> monitor = Monitor({"norm": lambda model: weight_norms(model).total}, every=10)
        >>> history = model.fit(np.ones((25, 2)), np.ones(25), 1, verbose=0, callbacks=[monitor])
        >>> [row["step"] for row in monitor.rows]
        [0, 10, 20, 25]
    """

    # What runs after a batch only notes its number, so Keras need not wait for it.
    async_safe = True

    def __init__(
        self,
        diagnostics: Mapping[str, Callable[..., Any]],
        every: int,
        file: str | Path | None = None,
    ):
        super().__init__()
        named = isinstance(diagnostics, Mapping) and diagnostics
        if not named or not all(isinstance(k, str) and callable(v) for k, v in named.items()):
            raise ValueError(
                "`diagnostics` must map one or more names to callables diagnostic(model), got "
                f"{diagnostics!r}"
            )
        self.diagnostics = dict(diagnostics)
        self.every = arguments.integer("every", every)
        self.rows: list[dict[str, Any]] = []
        self._file = None if file is None else RowFile(file)
        self._moving = {name for name, taken in diagnostics.items() if _takes_previous(taken)}
        self._board: Board | None = None
        self._steps, self._epoch = Steps(), 0
        self._weights: tuple[int, list[np.ndarray]] | None = None
        self._measured: int | None = None

    def on_train_begin(self, logs=None):
        self._board = Board.beside(self)
        self._weights = self._measured = None
        self._due = self._steps.total

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._steps.begin_epoch(self.model)

    def on_train_batch_begin(self, batch, logs=None):
        # Before a step and not after one: Keras runs what comes after in another thread.
        step = self._steps.before(batch)
        if step >= self._due and self.model.built:
            self._measure(step)
        if self._moving and (step + 1) % self.every == 0 and self.model.built:
            variables = self.model.trainable_variables
            arrays = (keras.ops.convert_to_numpy(variable) for variable in variables)
            self._weights = step, [np.array(array) for array in arrays]

    def on_train_batch_end(self, batch, logs=None):
        self._steps.end_batch(batch)

    def on_epoch_end(self, epoch, logs=None):
        self._steps.end_epoch(self.model, self.params.get("steps"))

    def on_train_end(self, logs=None):
        if self._steps.total != self._measured:
            self._measure(self._steps.total)
        if self._board is not None:
            self._board.close()

    def _measure(self, step: int) -> None:
        model, row = self.model, {"step": step, "epoch": self._epoch}
        at, weights = self._weights or (None, None)
        previous = {"previous": weights if at == step - 1 else None}
        for name, diagnostic in self.diagnostics.items():
            options = previous if name in self._moving else {}
            try:
                row |= columns(name, diagnostic(model, **options))
            except StopIteration as error:
                # Keras would take it for the end of the data, and end the epoch without a word.
                raise RuntimeError(f"the diagnostic {name!r} raised StopIteration") from error
        self._measured, self._due = step, (step // self.every + 1) * self.every
        self.rows.append(row)
        if self._file is not None:
            self._file.append(row)
        if self._board is not None:
            self._board.write(row)


def _takes_previous(diagnostic: Callable) -> bool:
    try:
        return "previous" in inspect.signature(diagnostic).parameters
    except (TypeError, ValueError):  # some callables written in C tell nothing
        return False
