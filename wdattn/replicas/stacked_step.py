"""The step of all runs, from the one of a single run; none of them knows of the others."""

import keras
import numpy as np
from keras import ops

from wdattn import backend
from wdattn.optimizers.layout import Layout
from wdattn.optimizers.step import step
from wdattn.replicas.starts import variables_of

__all__ = ["stacked_step"]


def stacked_step(model, loss, update, names, batch_of, skips):
    """`(runs, x, y, count) -> (losses, state, skipped)`, compiled.

    Args:
        model: the model.
        loss: `(y_true, y_pred)` to a scalar tensor.
        update: `Update`.
        names: of the knobs.
        batch_of: `(runs,)` int array.
        skips: whether a step whose gradient is not finite is not taken.
    """
    one = _one_step(model, loss, update, names, skips)
    size, batches = len(batch_of), int(batch_of.max()) + 1
    even = (np.bincount(batch_of) * batches == size).all()
    if size == batches or not (even and backend.NESTS):
        every = backend.each(one, in_axes=(0, 0, 0, None))
        return backend.jit(lambda runs, x, y, count: every(runs, *_taken([x, y], batch_of), count))
    # The runs of one batch side by side: what depends on the batch alone is not mapped over them.
    order = np.argsort(batch_of, kind="stable")
    runs_of_a_batch = backend.vmap(one, in_axes=(0, None, None, None))
    every = backend.each(runs_of_a_batch, in_axes=(0, 0, 0, None))

    def grouped_step(runs, x, y, count):
        grouped = _leading(_taken(runs, order), 1, (batches, size // batches))
        outputs = every(grouped, x, y, count)
        return _taken(_leading(outputs, 2, (size,)), np.argsort(order))

    return backend.jit(grouped_step)


def _taken(tensors, places):
    places = ops.convert_to_tensor(places, "int32")
    return keras.tree.map_structure(lambda x: ops.take(x, places, axis=0), tensors)


def _leading(tensors, count, shape):
    return keras.tree.map_structure(lambda x: ops.reshape(x, (*shape, *x.shape[count:])), tensors)


def _one_step(model, loss, update, names, skips):
    """The step of one run."""
    derivative = backend.value_and_grad(_objective(model, loss), has_aux=True)
    layout = Layout.of(model.trainable_variables)

    def one(run, x, y, count):
        before, skipped, turned = run
        row, slots, statistics = before
        knobs = {name: turned[place] for place, name in enumerate(names)}
        parameters = list(layout.cut(row).values())
        (value, statistics), gradients = derivative(parameters, statistics, x, y)
        gradient = ops.concatenate([ops.reshape(gradient, (-1,)) for gradient in gradients])
        after = *step(update, layout, row, gradient, slots, count, knobs), statistics
        if skips:
            finite = ops.all(ops.isfinite(gradient))
            after = keras.tree.map_structure(lambda a, b: ops.where(finite, a, b), after, before)
            skipped = skipped + ops.cast(ops.logical_not(finite), "int32")
        return value, after, skipped

    return one


def _objective(model, loss):
    """One run's loss, with what its layers add, as a function of its weights."""

    def objective(parameters, statistics, x, y):
        weights = zip(variables_of(model), [*parameters, *statistics], strict=True)
        # Not `model.stateless_call`: it skips `__call__`, which forgets the losses of the call
        # before and knows whether the model takes `training`.
        with keras.StatelessScope(weights, collect_losses=True) as scope:
            value = loss(y, _wide(model(x, training=True)))
            if len(value.shape):
                raise ValueError(f"`loss` must return a scalar, got shape {tuple(value.shape)}")
            value = sum(model.losses, value)
        return value, [scope.get_current_value(v) for v in model.non_trainable_variables]

    return objective


def _wide(outputs):
    """Outputs of a model in mixed precision in float32, as `fit` hands them to a loss."""
    return keras.tree.map_structure(
        lambda x: ops.cast(x, "float32") if "float16" in str(x.dtype) else x, outputs
    )
