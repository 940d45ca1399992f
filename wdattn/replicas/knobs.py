"""The values of the knobs of all runs, checked, as one tensor."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from wdattn.optimizers.update import Update

__all__ = ["Knobs"]


class Knobs:
    """Values that each run has until a step says otherwise.

    Args:
        update: names the knobs and says what they may be.
        size: number of runs.
        dtype: of the tensor.
        values: name to a number, or to one a run.

    Raises:
        ValueError: if a name is not known, or a value not allowed.
    """

    def __init__(self, update: Update, size: int, dtype: str, values: Mapping[str, Any] | None):
        self._update, self._size, self._dtype = update, size, dtype
        values = values or {}
        if update.after is None:  # which may read any
            self._check_known(values, update.knobs)
        self._values = {name: self._checked(name, value) for name, value in values.items()}
        self.names = tuple({**update.knobs, **self._values})
        self._standing: Any = None

    def tensor(self, changed: Mapping[str, Any] | None = None) -> Any:
        """`(runs, knobs)` tensor of a step, in the order of `names`.

        Args:
            changed: name to a number, or to one a run, for this step.

        Raises:
            ValueError: if a knob has no value, is not known, or its value not allowed.
        """
        if changed:
            self._check_known(changed, self.names)
            return self._stacked({name: self._checked(name, x) for name, x in changed.items()})
        if self._standing is None:
            self._standing = self._stacked({})
        return self._standing

    def _stacked(self, changed):
        values = {**self._values, **changed}
        if missing := [name for name in self.names if name not in values]:
            raise ValueError(f"`knobs` must give {', '.join(missing)}, got {sorted(values)}")
        columns = [values[name] for name in self.names]
        table = np.stack(columns, axis=1) if columns else np.zeros((self._size, 0))
        return ops.convert_to_tensor(table, self._dtype)

    @staticmethod
    def _check_known(values, known):
        if unknown := [name for name in values if name not in known]:
            raise ValueError(
                f"`knobs` must be among {', '.join(known) or 'none'}, got {', '.join(unknown)}"
            )

    def _checked(self, name, values):
        values = self._update.check_knob(name, values)
        if values.shape not in ((), (self._size,)):
            raise ValueError(
                f"knob `{name}` must be one number, or one for each of the {self._size} runs, got "
                f"{values.tolist()!r}"
            )
        return np.broadcast_to(values, self._size)
