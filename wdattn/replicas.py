"""Independent runs trained as one stacked model in one compiled step."""

import itertools
import math

import keras
import numpy as np
from keras import ops

from wdattn import backend
from wdattn.optimizers.update_rules import clip_by_global_norm, descend

__all__ = ["Replicas"]


class Losses:
    """The losses of one step; `np.asarray` waits for them and gives `(replicas,)` floats."""

    def __init__(self, tensor):
        self._tensor = tensor

    def __array__(self, dtype=None, copy=None):
        return np.array(ops.convert_to_numpy(self._tensor), dtype=dtype, copy=copy)


class Replicas:
    r"""Runs with starts, batches, rates, decays and clipping norms of their own, side by side.

    Each takes the steps that it would take alone, to round-off:

    $$g \leftarrow g \min(1, c / \lVert g \rVert), \quad p \leftarrow p - \eta (d(g) + \lambda p)$$

    with its own $c$, $\eta$ and $\lambda$, and $d$ the direction of `rule`. One compiled step
    serves all runs: a call costs the overhead of one run's, and the arithmetic of all. The loss is
    `loss` plus what layers add and the penalties of their regularisers, as in `fit`. Statistics
    such as those of `keras.layers.BatchNormalization` are kept for each run.

    Args:
        model: built `keras.Model` without random layers. Its own weights are never read or changed.
        loss: `(y_true, y_pred)` to a scalar tensor.
        rule: update rule of `wdattn.optimizers.update_rules`.
        starts: for each run the list of its weights: arrays in the order of
            `model.trainable_variables`, then of `model.non_trainable_variables`.
        rates: float >= 0, or one a run. Learning rates.
        decays: float >= 0, or one a run. Decoupled weight decays, per unit of rate.
        clipnorms: float > 0, or one a run; infinity and None do not clip. Largest norm of a run's
            gradient, over all its parameters.
        batch_of: for each run the index of its batch; None gives each run its own. Runs that
            share a batch get it once.

    Raises:
        ValueError: if the model is not built, has random layers or no trainable variable, or if
            an argument does not fit the model or the number of runs.
    """

    def __init__(self, model, loss, rule, starts, rates, decays=0.0, clipnorms=None, batch_of=None):
        _check_model(model)
        stacks = _stacks(model, starts)
        count = len(model.trainable_variables)
        self.size, self.steps_taken = len(starts), 0
        self._shapes = [tuple(variable.shape) for variable in model.trainable_variables]
        self._dtype = model.trainable_variables[0].dtype
        # One row a run: the update is then a dozen operations, however many variables there are.
        rows = np.concatenate([stack.reshape(self.size, -1) for stack in stacks[:count]], axis=1)
        self._parameters = ops.convert_to_tensor(rows)
        self._slots = tuple(ops.zeros_like(self._parameters) for _ in range(rule.slots))
        self._statistics = [ops.convert_to_tensor(stack) for stack in stacks[count:]]
        clipnorms = np.inf if clipnorms is None else clipnorms
        self._settings = [
            ops.convert_to_tensor(values, dtype=self._dtype)
            for values in (
                _per_run("rates", rates, self.size, "finite and >= 0", _is_finite),
                _per_run("decays", decays, self.size, "finite and >= 0", _is_finite),
                _per_run("clipnorms", clipnorms, self.size, "> 0", lambda norms: norms > 0),
            )
        ]
        batch_of = _batch_of(batch_of, self.size)
        self._batches, self._batch_of = int(batch_of.max()) + 1, ops.convert_to_tensor(batch_of)
        self._advance = backend.jit(_stacked_step(model, loss, rule))

    def step(self, x, y):
        """Takes one step of every run.

        Args:
            x: `(batches, batch, ...)` array, the inputs of each of the unique batches.
            y: `(batches, batch, ...)` array, their targets.

        Returns:
            `(replicas,)` losses of the batches before the update. The step may still be running:
            `np.asarray` waits for the numbers, so that a loss nobody reads costs nothing.

        Raises:
            ValueError: if there are not as many batches as `batch_of` needs.
        """
        batch = [self._tensor("x", x), self._tensor("y", y)]
        # An array, since TensorFlow traces anew for each Python number.
        count = np.asarray(self.steps_taken + 1, self._dtype)
        losses, self._parameters, self._slots, self._statistics = self._advance(
            self._parameters,
            self._slots,
            self._statistics,
            self._settings,
            self._batch_of,
            *batch,
            ops.convert_to_tensor(count),
        )
        self.steps_taken += 1
        return Losses(losses)

    def weights(self, replica):
        """The weights of one run, a list of NumPy arrays in the order of a start."""
        if replica not in range(self.size):
            raise ValueError(f"`replica` must be in 0...{self.size - 1}, got {replica!r}")
        row, *statistics = (
            np.array(ops.convert_to_numpy(tensor)[replica])
            for tensor in (self._parameters, *self._statistics)
        )
        return [*_cut(row, self._shapes, np.reshape), *statistics]

    def state(self):
        """All that the next steps depend on, besides the constructor's arguments and the batches.

        Returns:
            dict of str to NumPy array, for `restore`.
        """
        named = {"parameters": self._parameters}
        named |= {f"slots/{place}": slot for place, slot in enumerate(self._slots)}
        named |= {f"statistics/{place}": s for place, s in enumerate(self._statistics)}
        state = {name: np.array(ops.convert_to_numpy(tensor)) for name, tensor in named.items()}
        return {"steps_taken": np.asarray(self.steps_taken), **state}

    def restore(self, state):
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
        self._statistics = [
            tensors[f"statistics/{place}"] for place in range(len(self._statistics))
        ]

    def _tensor(self, name, array):
        array = np.asarray(array)
        if array.shape[:1] != (self._batches,):
            raise ValueError(
                f"`{name}` must be ({self._batches}, batch, ...), one of each batch that "
                f"`batch_of` names, got {array.shape}"
            )
        return ops.convert_to_tensor(array, self._dtype if array.dtype.kind == "f" else None)


def _stacked_step(model, loss, rule):
    """The step of all runs, from that of one; none of them knows of the others."""
    derivative = backend.value_and_grad(_objective(model, loss), has_aux=True)
    shapes = [tuple(variable.shape) for variable in model.trainable_variables]

    def one(row, slots, statistics, settings, x, y, count):
        rate, decay, clipnorm = settings
        parameters = _cut(row, shapes, ops.reshape)
        (value, statistics), gradients = derivative(parameters, statistics, x, y)
        gradient = ops.concatenate([ops.reshape(gradient, (-1,)) for gradient in gradients])
        direction, slots = rule(*clip_by_global_norm([gradient], clipnorm), slots, count)
        return value, descend(row, direction, rate, decay), slots, statistics

    every = backend.vmap(one, in_axes=(0, 0, 0, 0, 0, 0, None))

    def step(rows, slots, statistics, settings, batch_of, x, y, count):
        x, y = ops.take(x, batch_of, axis=0), ops.take(y, batch_of, axis=0)
        return every(rows, slots, statistics, settings, x, y, count)

    return step


def _objective(model, loss):
    """One run's loss, with what its layers add, as a function of its weights."""

    def objective(parameters, statistics, x, y):
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        weights = zip(variables, [*parameters, *statistics], strict=True)
        # Not `model.stateless_call`: it skips `__call__`, which forgets the losses of the call
        # before and knows whether the model takes `training`.
        with keras.StatelessScope(weights, collect_losses=True) as scope:
            value = loss(y, model(x, training=True))
            if len(value.shape):
                raise ValueError(f"`loss` must return a scalar, got shape {tuple(value.shape)}")
            value = sum(model.losses, value)
        return value, [scope.get_current_value(v) for v in model.non_trainable_variables]

    return objective


def _cut(row, shapes, reshape):
    """The arrays of these shapes that stand one behind the other in a row."""
    sizes = [math.prod(shape) for shape in shapes]
    places = zip(shapes, sizes, itertools.accumulate(sizes), strict=True)
    return [reshape(row[end - size : end], shape) for shape, size, end in places]


def _check_model(model):
    if not (isinstance(model, keras.Model) and model.built and model.trainable_variables):
        raise ValueError(f"`model` must be a built Keras model with parameters, got {model!r}")
    random = ", ".join(dict.fromkeys(_random_layers(model)))
    if random:
        raise ValueError(f"`model` must have no random layers, got {random}")
    dtypes = sorted({variable.dtype for variable in model.trainable_variables})
    if len(dtypes) > 1:
        raise ValueError(f"`model` must have trainable variables of one dtype, got {dtypes}")


def _random_layers(layer):
    """Names of the innermost layers that hold a `keras.random.SeedGenerator`."""
    parts = layer.layers if isinstance(layer, keras.Model) else []
    inner = [name for part in parts for name in _random_layers(part)]
    seeds = [v for v in layer.non_trainable_variables if v.name == "seed_generator_state"]
    return inner or ([layer.name] if seeds else [])


def _stacks(model, starts):
    """The starts of all runs, one array for each variable."""
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    shapes = [tuple(variable.shape) for variable in variables]
    if len(starts) == 0:
        raise ValueError("`starts` must hold at least one run's weights, got none")
    for run, start in enumerate(starts):
        given = [np.shape(weight) for weight in start]
        if given != shapes:
            raise ValueError(f"`starts[{run}]` must hold arrays of shapes {shapes}, got {given}")
    return [
        np.stack([np.asarray(weight, variable.dtype) for weight in weights])
        for variable, weights in zip(variables, zip(*starts, strict=True), strict=True)
    ]


def _is_finite(values):
    return np.isfinite(values) & (values >= 0)


def _per_run(name, values, size, allowed, fits):
    values = np.asarray(values)
    shaped = values.shape in ((), (size,)) and values.dtype.kind in "iuf"
    if not (shaped and fits(values).all()):
        raise ValueError(f"`{name}` must be {allowed}: one number, or one for each of the {size} "
                         f"runs, got {values.tolist()!r}")  # fmt: skip
    return np.broadcast_to(values, size)


def _batch_of(values, size):
    values = np.arange(size) if values is None else np.asarray(values)
    if values.shape != (size,) or values.dtype.kind not in "iu" or values.min() < 0:
        raise ValueError(f"`batch_of` must be one integer >= 0 for each of the {size} runs, got "
                         f"{values.tolist()!r}")  # fmt: skip
    return values.astype("int32")


def _signature(state):
    return {name: (np.shape(array), str(np.asarray(array).dtype)) for name, array in state.items()}
