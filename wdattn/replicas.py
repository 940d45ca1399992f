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
        batch_of: for each run the index of its batch; None gives each run its own. Where all
            batches serve equally many runs, work on the data alone is done once a batch.
        skip_nonfinite: whether a run whose gradient is not finite stays as it is in that step:
            parameters, moments and statistics. (A loss may overflow where its gradient does not;
            that step is taken.) Adam's bias correction goes on counting the steps of all.

    Raises:
        ValueError: if the model is not built, has random layers or no trainable variable, or if
            an argument does not fit the model or the number of runs.
    """

    def __init__(self, model, loss, rule, starts, rates, decays=0.0, clipnorms=None, batch_of=None,
                 skip_nonfinite=False):  # fmt: skip
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
        settings = (
            _per_run("rates", rates, self.size, "finite and >= 0", _is_finite),
            _per_run("decays", decays, self.size, "finite and >= 0", _is_finite),
            _per_run("clipnorms", clipnorms, self.size, "> 0", lambda norms: norms > 0),
        )
        self._settings = [ops.convert_to_tensor(values, self._dtype) for values in settings]
        batch_of = _batch_of(batch_of, self.size)
        self._batches = int(batch_of.max()) + 1
        self._skips, self._skipped = bool(skip_nonfinite), ops.zeros(self.size, "int32")
        one = _one_step(model, loss, rule, self._skips)
        self._advance = backend.jit(_stacked_step(one, batch_of))

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
        x, y = self._tensor("x", x), self._tensor("y", y)
        # An array, since TensorFlow traces anew for each Python number.
        count = np.asarray(self.steps_taken + 1, self._dtype)
        runs = (self._parameters, self._slots, self._statistics), self._skipped, self._settings
        losses, state, self._skipped = self._advance(runs, x, y, ops.convert_to_tensor(count))
        self._parameters, self._slots, self._statistics = state
        self.steps_taken += 1
        return Losses(losses)

    @property
    def skipped(self):
        """`(replicas,)` int array: the steps that each run did not take, by `skip_nonfinite`."""
        return np.array(ops.convert_to_numpy(self._skipped))

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
        named |= {"skipped": self._skipped} if self._skips else {}
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


def _stacked_step(one, batch_of):
    """The step of all runs, from that of one; none of them knows of the others."""
    size, batches = len(batch_of), int(batch_of.max()) + 1
    even = (np.bincount(batch_of) * batches == size).all()
    if size == batches or not (even and backend.NESTS):
        every = backend.each(one, in_axes=(0, 0, 0, None))
        return lambda runs, x, y, count: every(runs, *_taken([x, y], batch_of), count)
    # The runs of one batch side by side: what depends on the batch alone is not mapped over them.
    order = np.argsort(batch_of, kind="stable")
    runs_of_a_batch = backend.vmap(one, in_axes=(0, None, None, None))
    every = backend.each(runs_of_a_batch, in_axes=(0, 0, 0, None))

    def step(runs, x, y, count):
        grouped = _leading(_taken(runs, order), 1, (batches, size // batches))
        outputs = every(grouped, x, y, count)
        return _taken(_leading(outputs, 2, (size,)), np.argsort(order))

    return step


def _taken(tensors, places):
    places = ops.convert_to_tensor(places, "int32")
    return keras.tree.map_structure(lambda x: ops.take(x, places, axis=0), tensors)


def _leading(tensors, count, shape):
    return keras.tree.map_structure(lambda x: ops.reshape(x, (*shape, *x.shape[count:])), tensors)


def _one_step(model, loss, rule, skips):
    """The step of one run."""
    derivative = backend.value_and_grad(_objective(model, loss), has_aux=True)
    shapes = [tuple(variable.shape) for variable in model.trainable_variables]

    def one(run, x, y, count):
        before, skipped, (rate, decay, clipnorm) = run
        row, slots, statistics = before
        parameters = _cut(row, shapes, ops.reshape)
        (value, statistics), gradients = derivative(parameters, statistics, x, y)
        gradient = ops.concatenate([ops.reshape(gradient, (-1,)) for gradient in gradients])
        clipped = clip_by_global_norm([gradient], clipnorm)
        direction, slots = rule(*clipped, slots, count)
        after = descend(row, direction, rate, decay), slots, statistics
        if skips:
            finite = ops.all(ops.isfinite(*clipped))
            after = keras.tree.map_structure(lambda a, b: ops.where(finite, a, b), after, before)
            skipped = skipped + ops.cast(ops.logical_not(finite), "int32")
        return value, after, skipped

    return one


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
