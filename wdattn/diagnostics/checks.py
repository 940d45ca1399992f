"""What several diagnostics ask of their arguments."""

import reprlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


def built_model(model: Any) -> keras.Model:
    """A Keras model that is built and has trainable variables."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model, got {model!r}")
    if not model.built:
        raise ValueError(f"`model` {model.name!r} is not built: call it once on data")
    if not model.trainable_variables:
        raise ValueError(f"`model` {model.name!r} must have trainable variables, it has none")
    return model


def flat_arrays(name: str, arrays: Any, variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Arrays shaped like the variables, each as a float64 vector of its own."""
    allowed = [tuple(variable.shape) for variable in variables]
    if not isinstance(arrays, list | tuple):
        raise ValueError(f"`{name}` must be a list of arrays {allowed}, got {reprlib.repr(arrays)}")
    try:
        given = [keras.ops.convert_to_numpy(array) for array in arrays]
        vectors = [np.array(array, "float64").ravel() for array in given]
        shapes = [array.shape for array in given]
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"`{name}` must be a list of arrays of numbers, got {reprlib.repr(arrays)}: {error}"
        ) from error
    if shapes != allowed:
        raise ValueError(
            f"`{name}` must be shaped like the model's trainable variables, {allowed}, got {shapes}"
        )
    return vectors


def number_of_samples(**data: Any) -> int:
    """The length of axis 0, which is the same for every array of the data, given by their names."""
    lengths = set()
    for name, nest in data.items():
        for leaf in keras.tree.flatten(nest):
            kind = getattr(getattr(leaf, "dtype", None), "kind", "")  # "" for a backend's tensor
            if not len(getattr(leaf, "shape", ())) or (kind and kind in "OSU"):
                raise ValueError(
                    f"`{name}` must be an array, or a list, tuple or dict of arrays, with the "
                    f"samples along axis 0, got {reprlib.repr(leaf)} in it"
                )
            lengths.add(int(leaf.shape[0]))
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(
            f"{' and '.join(f'`{name}`' for name in data)} must hold one or more samples along "
            "axis 0, as many in each array, got the shapes "
            f"{' and '.join(str(shapes(nest)) for nest in data.values())}"
        )
    return lengths.pop()


def outputs_of(model: keras.Model, x: Any, training: bool = False) -> Any:
    """What the model makes of the data; an error names `x`, whose shapes are the usual reason."""
    try:
        return model(x, training=training)
    except Exception as error:
        raise ValueError(
            f"`x` must be inputs that `model` {model.name!r} takes, got the shapes {shapes(x)}: "
            f"{error}"
        ) from error


def shapes(data: Any) -> Any:
    """The shape in the place of each array of a nest."""
    return keras.tree.map_structure(lambda leaf: tuple(getattr(leaf, "shape", ())), data)
