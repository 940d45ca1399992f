"""Runs trained side by side, each as it would be alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from wdattn.arguments import flag
from wdattn.optimizers.layout import Layout
from wdattn.optimizers.update import Update
from wdattn.replicas.knobs import Knobs
from wdattn.replicas.stacked_step import stacked_step
from wdattn.replicas.starts import check_model, stacks

__all__ = ["Replicas"]


class Losses:
    """The losses of one step; `np.asarray` waits for them and gives `(replicas,)` floats."""

    def __init__(self, tensor):
        self._tensor = tensor

    def __array__(self, dtype=None, copy=None):
        return np.array(ops.convert_to_numpy(self._tensor), dtype=dtype, copy=copy)


class Replicas:
    """Runs with starts, batches and knobs of their own, side by side.

    Each takes the steps that `update` describes as it would alone, to round-off. One compiled step
    serves all runs: a call costs the overhead of one run's, and the arithmetic of all. The loss is
    `loss` plus what layers add and the penalties of their regularisers, as in `fit`. Statistics
    such as those of `keras.layers.BatchNormalization` are kept for each run.

    Args:
        model: built `keras.Model` without random layers. Its own weights are never read or changed.
        loss: `(y_true, y_pred)` to a scalar tensor.
        update: `wdattn.optimizers.Update`, the step of every run.
        starts: for each run the path of each of the model's variables to an array, as
            `weights_by_path` gives it; non-trainable variables too.
        knobs: name of a knob of `update` to a number, or to one a run. Further names are allowed
            where `update.after` reads them. Their values for the steps that give none.
        batch_of: for each run the index of its batch; None gives each run its own. Where all
            batches serve equally many runs, work on the data alone is done once a batch.
        skip_nonfinite: whether a run whose gradient is not finite stays as it is in that step:
            parameters, moments and statistics. (A loss may overflow where its gradient does not;
            that step is taken.) Adam's bias correction goes on counting the steps of all.

    Raises:
        ValueError: if the model is not built, has random layers or no trainable variable, or if
            an argument does not fit the model or the number of runs.
    """

    def __init__(
        self,
        model,
        loss,
        update: Update,
        starts: Sequence[Mapping[str, np.ndarray]],
        knobs: Mapping[str, Any] | None = None,
        batch_of: Sequence[int] | np.ndarray | None = None,
        skip_nonfinite: bool = False,
    ):
        check_model(model)
        if not isinstance(update, Update):
            raise ValueError(f"`update` must be a `wdattn.optimizers.Update`, got {update!r}")
        self._layout = Layout.of(model.trainable_variables)
        frozen = [variable.path for variable in model.non_trainable_variables]
        update.check_rules(self._layout.paths, frozen)
        stacked, count = stacks(model, starts), len(self._layout.paths)
        self._paths, arrays = tuple(stacked), list(stacked.values())
        self.size, self.steps_taken, self._update = len(starts), 0, update
        self._dtype = model.trainable_variables[0].dtype
        # One row a run: the update is then a dozen operations, however many variables there are.
        rows = [array.reshape(self.size, -1) for array in arrays[:count]]
        self._parameters = ops.convert_to_tensor(np.concatenate(rows, axis=1))
        self._slots = tuple(ops.zeros_like(self._parameters) for _ in range(update.slots))
        if update.average is not None:
            self._slots = (*self._slots[:-1], self._parameters)
        self._statistics = [ops.convert_to_tensor(array) for array in arrays[count:]]
        self._knobs = Knobs(update, self.size, self._dtype, knobs)
        batch_of = _batch_of(batch_of, self.size)
        self._batches = int(batch_of.max()) + 1
        self._skips = flag("skip_nonfinite", skip_nonfinite)
        self._skipped = ops.zeros(self.size, "int32")
        self._advance: Callable[..., Any] = stacked_step(
            model, loss, update, self._knobs.names, batch_of, self._skips
        )

    def step(self, x, y, knobs: Mapping[str, Any] | None = None) -> Losses:
        """Takes one step of every run.

        Args:
            x: `(batches, batch, ...)` array, the inputs of each of the unique batches.
            y: `(batches, batch, ...)` array, their targets.
            knobs: name to a number, or to one a run, for this step; the others keep the values
                that the constructor got. Nothing is compiled anew when a value changes.

        Returns:
            `(replicas,)` losses of the batches before the update. The step may still be running:
            `np.asarray` waits for the numbers, so that a loss nobody reads costs nothing.

        Raises:
            ValueError: if there are not as many batches as `batch_of` needs, a knob has no value
                or a value that it cannot take, or is not known.
        """
        x, y = self._tensor("x", x), self._tensor("y", y)
        # An array, since TensorFlow traces anew for each Python number.
        count = np.asarray(self.steps_taken + 1, self._dtype)
        state = self._parameters, self._slots, self._statistics
        runs = state, self._skipped, self._knobs.tensor(knobs)
        losses, state, self._skipped = self._advance(runs, x, y, ops.convert_to_tensor(count))
        self._parameters, self._slots, self._statistics = state
        self.steps_taken += 1
        return Losses(losses)

    @property
    def skipped(self) -> np.ndarray:
        """`(replicas,)` int array: the steps that each run did not take, by `skip_nonfinite`."""
        return np.array(ops.convert_to_numpy(self._skipped))

    def weights(self, replica: int) -> dict[str, np.ndarray]:
        """The weights of one run.

        Args:
            replica: int, which run.

        Returns:
            Path to array, first the trainable variables, as in a start.

        Raises:
            ValueError: if there is no such run.
        """
        return self._by_path(replica, self._parameters)

    def average(self, replica: int) -> dict[str, np.ndarray]:
        """The moving average of one run's weights; statistics are as they are.

        Args:
            replica: int, which run.

        Returns:
            Path to array, as `weights` gives it.

        Raises:
            ValueError: if there is no such run, or `update` keeps no average.
        """
        if self._update.average is None:
            raise ValueError("`update` must have an `average`, got None")
        return self._by_path(replica, self._slots[-1])

    def _by_path(self, replica, rows):
        if replica not in range(self.size):
            raise ValueError(f"`replica` must be in 0...{self.size - 1}, got {replica!r}")
        row, *statistics = (
            np.array(ops.convert_to_numpy(tensor)[replica]) for tensor in (rows, *self._statistics)
        )
        arrays = [*self._layout.cut(row).values(), *statistics]
        return dict(zip(self._paths, arrays, strict=True))

    def state(self) -> dict[str, np.ndarray]:
        """All that the next steps depend on, besides arguments, knobs and batches.

        Returns:
            dict of str to NumPy array, for `restore`.
        """
        named = {"parameters": self._parameters}
        named |= {f"slots/{place}": slot for place, slot in enumerate(self._slots)}
        named |= {f"statistics/{place}": s for place, s in enumerate(self._statistics)}
        named |= {"skipped": self._skipped} if self._skips else {}
        state = {name: np.array(ops.convert_to_numpy(tensor)) for name, tensor in named.items()}
        return {"steps_taken": np.asarray(self.steps_taken), **state}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Goes back to where `state` was taken, to the bit.

        Args:
            state: what `state` returned, here or in replicas made from the same arguments.

        Raises:
            ValueError: if a name, shape or dtype differs from what these replicas keep.
        """
        kept, given = _signature(self.state()), _signature(state)
        if kept != given:
            raise ValueError(f"`state` must hold {kept}, got {given}")
        tensors = {name: ops.convert_to_tensor(array) for name, array in state.items()}
        self.steps_taken = int(state["steps_taken"])
        self._parameters = tensors["parameters"]
        self._slots = tuple(tensors[f"slots/{place}"] for place in range(len(self._slots)))
        places = range(len(self._statistics))
        self._statistics = [tensors[f"statistics/{place}"] for place in places]
        self._skipped = tensors.get("skipped", self._skipped)

    def _tensor(self, name, array):
        array = np.asarray(array)
        if array.shape[:1] != (self._batches,):
            raise ValueError(
                f"`{name}` must be ({self._batches}, batch, ...), one of each batch that "
                f"`batch_of` names, got {array.shape}"
            )
        return ops.convert_to_tensor(array, self._dtype if array.dtype.kind == "f" else None)


def _batch_of(values, size):
    values = np.arange(size) if values is None else np.asarray(values)
    if values.shape != (size,) or values.dtype.kind not in "iu" or values.min() < 0:
        raise ValueError(f"`batch_of` must be one integer >= 0 for each of the {size} runs, got "
                         f"{values.tolist()!r}")  # fmt: skip
    return values.astype("int32")


def _signature(state):
    return {name: (np.shape(array), str(np.asarray(array).dtype)) for name, array in state.items()}
