"""What the runs start from: weights by path, checked against the model and stacked."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

__all__ = ["check_model", "paths_of", "stacks", "variables_of", "weights_by_path"]


def variables_of(model) -> list[keras.Variable]:
    """Variables of a model, first the trainable ones, then the others."""
    return [*model.trainable_variables, *model.non_trainable_variables]


def paths_of(model) -> list[str]:
    """Path of each variable within a model: without the model's own name, which Keras numbers."""
    return [variable.path.removeprefix(f"{model.name}/") for variable in variables_of(model)]


def weights_by_path(model) -> dict[str, np.ndarray]:
    """A copy of all weights of a model: what a run of `Replicas` starts from.

    Args:
        model: built `keras.Model`.

    Returns:
        Path of each variable within the model to array, first the trainable ones. The path is
        `variable.path` without the name of the model, so that it is the same in a model that is
        made alike; layers need names for that.

    Examples:
        >>> import keras
        >>> from wdattn.replicas import weights_by_path
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="out")])
        >>> {path: weight.shape for path, weight in weights_by_path(model).items()}
        {'out/kernel': (2, 1), 'out/bias': (1,)}
    """
    arrays = (np.array(keras.ops.convert_to_numpy(v)) for v in variables_of(model))
    return dict(zip(paths_of(model), arrays, strict=True))


def check_model(model) -> None:
    """Raises unless it can be trained as replicas."""
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


def stacks(model, starts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The starts of all runs, one array for each variable of the model."""
    if len(starts) == 0:
        raise ValueError("`starts` must hold at least one run's weights, got none")
    variables = dict(zip(paths_of(model), variables_of(model), strict=True))
    wanted = {path: tuple(variable.shape) for path, variable in variables.items()}
    for run, start in enumerate(starts):
        by_path = isinstance(start, Mapping)
        given = {path: np.shape(w) for path, w in start.items()} if by_path else type(start)
        if given != wanted:
            raise ValueError(
                f"`starts[{run}]` must hold an array for each path, of shapes {wanted}, got {given}"
            )
    return {
        path: np.stack([np.asarray(start[path], variable.dtype) for start in starts])
        for path, variable in variables.items()
    }
