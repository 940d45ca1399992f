"""Batch normalisation's moving statistics, estimated anew at the weights as they are."""

import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from wdattn import arguments, autodiff
from wdattn.diagnostics.checks import built_model, number_of_samples, outputs_of

# Model -> the layers that were refreshed -> compiled function of a batch.
_COMPILED: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def refresh_batch_statistics(model: keras.Model, x: Any, batch_size: int = 256) -> list[str]:
    r"""Sets the moving statistics of batch normalisation to those of the data.

    $$\mu = \frac1n \sum_b n_b \mu_b, \qquad
    \sigma^2 = \frac1n \sum_b n_b \bigl(\sigma_b^2 + (\mu_b - \mu)^2\bigr)$$

    with the mean and variance that each layer sees in the batches b of $n_b$ samples, in training
    mode: as `fit` measures them, each batch normalised by its own statistics, dropout included. It
    is for weights that were averaged or set, whose moving statistics belong to other weights, and
    comes before a diagnostic that reads them. Nothing else in the model changes. A frozen layer
    keeps its statistics; one that the model calls several times gets those of its last call.

    Args:
        model: a built Keras model.
        x: inputs the model takes: an array, or a list, tuple or dict of them; axis 0 is the
            samples.
        batch_size: int >= 1. Samples of a batch. Of the first layer the statistics do not depend on
            it; those of a later one do, as in training, where its inputs were normalised by batch.

    Returns:
        The paths of the layers that were set; empty where the model has none.

    Raises:
        ValueError: if the model is not built or has no trainable variables, or an argument is not
            of this kind.

    Examples:
        >>> import keras
        >>> norm = keras.layers.BatchNormalization(name="norm")
        >>> model = keras.Sequential([keras.Input((1,)), norm])
        >>> paths = refresh_batch_statistics(model, np.array([[1.0], [2.0], [6.0]]), batch_size=2)
        >>> len(paths), float(norm.moving_mean[0])
        (1, 3.0)
    """
    built_model(model)
    batch_size = arguments.integer("batch_size", batch_size)
    samples = number_of_samples(x=x)
    layers = [layer for layer in model._flatten_layers() if _moves(layer)]
    if not layers:
        return []
    moments, rows, counts = _compiled(model, layers), [], []
    with _without_memory(layers):
        for start in range(0, samples, batch_size):
            part = slice(start, start + batch_size)
            batch = keras.tree.map_structure(lambda leaf, part=part: leaf[part], x)
            rows.append([ops.convert_to_numpy(array) for array in moments(batch)])
            counts.append(min(batch_size, samples - start))
    by_batch = [np.stack(arrays).astype("float64") for arrays in zip(*rows, strict=True)]
    for layer, means, variances in zip(layers, by_batch[::2], by_batch[1::2], strict=True):
        mean = np.average(means, 0, counts)
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(np.average(variances + (means - mean) ** 2, 0, counts))
    return [layer.path for layer in layers]


def _moves(layer: keras.layers.Layer) -> bool:
    """Whether training would move the statistics of this layer."""
    return isinstance(layer, keras.layers.BatchNormalization) and layer.trainable


@contextlib.contextmanager
def _without_memory(layers: Sequence[keras.layers.BatchNormalization]) -> Iterator[None]:
    """Momentum 0: what training assigns is then the batch's own mean and variance."""
    before = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = 0.0
        yield
    finally:
        for layer, momentum in zip(layers, before, strict=True):
            layer.momentum = momentum


def _compiled(model: keras.Model, layers: Sequence[keras.layers.Layer]) -> Callable:
    """The function of a batch that returns the layers' means and variances, in turn; kept."""
    by_layers = _COMPILED.setdefault(model, {})
    key = tuple(map(id, layers))
    if key not in by_layers:
        moving = [v for layer in layers for v in (layer.moving_mean, layer.moving_variance)]
        by_layers[key] = autodiff.jit(_moments(weakref.proxy(model), moving))
    return by_layers[key]


def _moments(model: Any, moving: Sequence[keras.Variable]) -> Callable:
    def function(batch):
        state = [(variable, variable.value) for variable in model.variables]
        with keras.StatelessScope(state) as scope:
            outputs_of(model, batch, training=True)
            return [scope.get_current_value(variable) for variable in moving]

    return function
