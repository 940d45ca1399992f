"""The curvature of the loss beside the norm of its gradient: (L0, L1)-smoothness."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from wdattn import arguments
from wdattn.diagnostics.directional_smoothness import curvature
from wdattn.diagnostics.lanczos import spectral_norm
from wdattn.diagnostics.objective import Loss, derivatives


@dataclass(frozen=True)
class GeneralizedSmoothness:
    """The two sides of (L0, L1)-smoothness at one point.

    Args:
        gradient_norm: float >= 0, Euclidean.
        hessian_norm: float >= 0, the Hessian's largest |eigenvalue|.
        directional_smoothness: float of either sign, or None if no direction was given.
    """

    gradient_norm: float
    hessian_norm: float
    directional_smoothness: float | None


def generalized_smoothness(
    model: keras.Model,
    x: Any,
    y: Any,
    loss: Loss = None,
    direction: Sequence[Any] | None = None,
    seed: int = 0,
) -> GeneralizedSmoothness:
    r"""Norms of the gradient and of the Hessian at the model's weights.

    $$\|\nabla^2 f(\theta)\|_2 \le L_0 + L_1 \|\nabla f(\theta)\|_2$$

    is (L0, L1)-smoothness (Zhang et al. 2020). Ahn et al. (2024) draw the curvature along the step,
    `directional_smoothness`, against the gradient norm, in logarithms, and find the spectral norm
    similar. In inference mode (`training=False`: no dropout, moving batch statistics). Costs a
    gradient and some tens of Hessian-vector products.

    Args:
        model: a built Keras model; nothing in it changes.
        x: inputs the model takes: an array, or a list, tuple or dict of them.
        y: targets the loss takes.
        loss: None for the model's compiled loss, the name of a Keras loss, or a callable
            `loss(y_true, y_pred)`, the same object each time, or it is compiled anew.
        direction: None, or arrays shaped like the model's trainable variables, not all 0.
        seed: int >= 0, of the vector that the search for the spectral norm starts from.

    Returns:
        The norms, the Hessian's to a relative tolerance of 1e-4; NaN where not finite.

    Raises:
        ValueError: if the model has no loss, `direction` is 0 or not shaped like the variables, or
            an argument is not of this kind.
    """
    seed = arguments.integer("seed", seed, least=0)
    of_loss = derivatives(model, loss, x, y)
    along = None if direction is None else curvature(of_loss, x, y, direction).value
    return GeneralizedSmoothness(
        gradient_norm=float(np.linalg.norm(of_loss.gradient(x, y))),
        hessian_norm=spectral_norm(lambda v: of_loss.product(v, x, y), of_loss.size, seed=seed),
        directional_smoothness=along,
    )
