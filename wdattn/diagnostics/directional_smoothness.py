"""The curvature of the loss along a direction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from wdattn.diagnostics.checks import flat_arrays
from wdattn.diagnostics.objective import Derivatives, Loss, derivatives


@dataclass(frozen=True)
class DirectionalSmoothness:
    """The curvature along a direction.

    Args:
        value: float, of either sign; in units of the loss over the parameters' squared.
        length: float > 0, the Euclidean norm of the direction.
    """

    value: float
    length: float


def directional_smoothness(
    model: keras.Model, x: Any, y: Any, direction: Sequence[Any], loss: Loss = None
) -> DirectionalSmoothness:
    r"""The curvature of the loss along a direction, at the model's weights.

    $$s = v^\top \nabla^2 f(\theta)\, v, \qquad v = \Delta / \|\Delta\|_2$$

    Pan & Li (2023); Ahn et al. (2024) take the step $\Delta = \theta_{t+1} - \theta_t$ as the
    direction and measure at $\theta_t$. It is negative where the loss bends down; nothing is
    clipped. In inference mode (`training=False`: no dropout, moving batch statistics). Costs one
    Hessian-vector product.

    Args:
        model: a built Keras model; nothing in it changes.
        x: inputs the model takes: an array, or a list, tuple or dict of them.
        y: targets the loss takes.
        direction: arrays shaped like the model's trainable variables, in their order, not all 0.
        loss: None for the model's compiled loss, the name of a Keras loss, or a callable
            `loss(y_true, y_pred)`, the same object each time, or it is compiled anew.

    Returns:
        The curvature; NaN if the direction or the product is not finite.

    Raises:
        ValueError: if the model has no loss, or `direction` is 0 or not shaped like the variables.
    """
    return curvature(derivatives(model, loss, x, y), x, y, direction)


def curvature(
    of_loss: Derivatives, x: Any, y: Any, direction: Sequence[Any]
) -> DirectionalSmoothness:
    """`directional_smoothness` from derivatives that are already there."""
    flat = np.concatenate(flat_arrays("direction", direction, of_loss.variables))
    largest = np.abs(flat).max()
    if largest == 0:
        raise ValueError("`direction` must not be 0 in every entry: it has no curvature")
    # The largest entry is factored out, so that no square overflows or vanishes.
    with np.errstate(invalid="ignore"):
        scaled = flat / largest
        norm = np.linalg.norm(scaled)
        unit = scaled / norm
    return DirectionalSmoothness(float(unit @ of_loss.product(unit, x, y)), float(largest * norm))
