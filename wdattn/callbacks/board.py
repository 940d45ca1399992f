"""Rows beside those of Keras' TensorBoard callback."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras


class Board:
    """Writes the numbers of rows as the run "monitor" into the folder of a TensorBoard callback.

    With a writer of its own: Keras closes its own one before callbacks that come later have ended.

    Args:
        callback: a `keras.callbacks.TensorBoard`.
    """

    def __init__(self, callback: keras.callbacks.TensorBoard):
        self._summary = callback.summary
        folder = Path(callback.log_dir) / "monitor"
        self._writer = self._summary.create_file_writer(str(folder))

    @classmethod
    def beside(cls, callback: keras.callbacks.Callback) -> "Board | None":
        """The board of the TensorBoard callback in the same list, or None.

        Keras tells a callback nothing of its neighbours, but their list is who calls it.

        Args:
            callback: one that is being called.

        Returns:
            The board, or None where there is no such callback.
        """
        frame = inspect.currentframe()
        while frame is not None:
            caller = frame.f_locals.get("self")
            if isinstance(caller, keras.callbacks.CallbackList) and callback in caller.callbacks:
                boards = (c for c in caller.callbacks if isinstance(c, keras.callbacks.TensorBoard))
                return next(map(cls, boards), None)
            frame = frame.f_back
        return None

    def write(self, row: Mapping[str, Any]) -> None:
        """Writes the numbers of a row.

        Args:
            row: column to number; `step` is where it is drawn.
        """
        # Whatever `update_freq` of the callback says of its own numbers.
        with self._writer.as_default(), self._summary.record_if(True):
            for name, value in row.items():
                if name not in ("step", "epoch") and not isinstance(value, str):
                    self._summary.scalar(name, value, step=row["step"])
        self._writer.flush()

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()
