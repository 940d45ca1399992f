"""The length of the weights and of the gradient, for all variables and for each group of them."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from wdattn.diagnostics.checks import built_model, flat_arrays
from wdattn.diagnostics.groups import Groups, group_of_each, sums
from wdattn.diagnostics.objective import Loss, derivatives


@dataclass(frozen=True)
class GroupNorms:
    """Euclidean norms.

    Args:
        total: float >= 0, of all trainable variables together.
        by_group: a group's name to its norm; the squares add up to that of `total`.
    """

    total: float
    by_group: dict[str, float]


def weight_norms(model: keras.Model, groups: Groups = None) -> GroupNorms:
    r"""The Euclidean norm of the trainable weights, for all and for each group.

    $$\|\theta_g\|_2$$

    Args:
        model: a built Keras model; nothing in it changes.
        groups: None for a group a layer, the last part of a variable's path cut off; or a mapping
            from names to regular expressions, searched for in the paths, the first one found.

    Returns:
        The norms.

    Raises:
        ValueError: if the model is not built or has no trainable variables, or `groups` leaves one
            out or holds an empty group.
    """
    variables = built_model(model).trainable_variables
    return _norms(np.concatenate(flat_arrays("model", variables, variables)), variables, groups)


def gradient_norms(
    model: keras.Model, x: Any, y: Any, loss: Loss = None, groups: Groups = None
) -> GroupNorms:
    r"""The Euclidean norm of the loss's gradient, for all and for each group.

    $$\|\nabla_{\theta_g} f(\theta)\|_2$$

    In inference mode (`training=False`: no dropout, moving batch statistics), without clipping.

    Args:
        model: a built Keras model; nothing in it changes.
        x: inputs the model takes: an array, or a list, tuple or dict of them.
        y: targets the loss takes.
        loss: None for the model's compiled loss, the name of a Keras loss, or a callable
            `loss(y_true, y_pred)`, the same object each time, or it is compiled anew.
        groups: None for a group a layer, the last part of a variable's path cut off; or a mapping
            from names to regular expressions, searched for in the paths, the first one found.

    Returns:
        The norms; NaN or inf where the gradient is not finite.

    Raises:
        ValueError: if the model is not built, has no trainable variables or no loss, or `groups`
            leaves a variable out or holds an empty group.
    """
    of_loss = derivatives(model, loss, x, y)
    return _norms(of_loss.gradient(x, y), of_loss.variables, groups)


def _norms(flat: np.ndarray, variables: list[keras.Variable], groups: Groups) -> GroupNorms:
    sizes = [int(np.prod(variable.shape)) for variable in variables]
    squares = sums(flat**2, sizes, group_of_each(variables, groups))
    return GroupNorms(
        float(np.linalg.norm(flat)), {name: float(total**0.5) for name, total in squares.items()}
    )
