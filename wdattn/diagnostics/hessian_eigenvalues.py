"""The ends of the spectrum of the loss's Hessian."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from wdattn import arguments
from wdattn.diagnostics import lanczos
from wdattn.diagnostics.objective import Loss, derivatives


@dataclass(frozen=True)
class HessianEigenvalues:
    """Eigenvalues of a Hessian, with their signs: of diag(1, -3) 1, -3 and -3.

    Args:
        largest: `(count,)` float64, the largest first: the sharpest directions upwards.
        smallest: `(count,)` float64, the smallest first; negative where the loss bends down.
        largest_in_magnitude: `(count,)` float64, the largest |eigenvalue| first.
        residual: float >= 0. Within this distance of each value lies an eigenvalue.
        products: int >= 1, the Hessian-vector products that it took.
    """

    largest: np.ndarray
    smallest: np.ndarray
    largest_in_magnitude: np.ndarray
    residual: float
    products: int


def hessian_eigenvalues(
    model: keras.Model,
    x: Any,
    y: Any,
    loss: Loss = None,
    count: int = 1,
    tolerance: float = 1e-3,
    limit: int = 500,
    seed: int = 0,
) -> HessianEigenvalues:
    r"""The largest and the smallest eigenvalues of the loss's Hessian at the model's weights.

    $$\nabla^2 f(\theta)\, u = \mu u$$

    By Lanczos' method with full reorthogonalisation, from `count` start vectors at once (Ruhe
    1979), so that an eigenvalue that repeats is found that often: a network with several outputs
    may have each one several times. In inference mode (`training=False`: no dropout, moving batch
    statistics). Keeps a vector of float64 numbers for each product.

    Args:
        model: a built Keras model; nothing in it changes.
        x: inputs the model takes: an array, or a list, tuple or dict of them.
        y: targets the loss takes.
        loss: None for the model's compiled loss, the name of a Keras loss, or a callable
            `loss(y_true, y_pred)`, the same object each time, or it is compiled anew.
        count: int >= 1, how many at each end; at most the number of parameters.
        tolerance: float >= 0. Stops when every residual is below it times the largest |eigenvalue|.
            In float32 1e-5 is about the least that can be had.
        limit: int >= `count`, the most Hessian-vector products; `residual` tells what was reached.
        seed: int >= 0, of the start vectors.

    Returns:
        The eigenvalues; NaN if a product is not finite.

    Raises:
        ValueError: if the model is not built, has no trainable variables or no loss, or an argument
            is not of this kind.
    """
    tolerance = arguments.real("tolerance", tolerance, least=0)
    seed = arguments.integer("seed", seed, least=0)
    of_loss = derivatives(model, loss, x, y)
    count = arguments.integer("count", count, most=of_loss.size)
    limit = arguments.integer("limit", limit, least=count)

    def product(vector: np.ndarray) -> np.ndarray:
        return of_loss.product(vector, x, y)

    ends = lanczos.ends(product, of_loss.size, count, tolerance, limit, seed)
    # Of few products the two ends share values, which count once.
    both = np.concatenate([ends.largest, ends.smallest[: ends.products - count]])
    order = np.argsort(-np.abs(both), kind="stable")[:count]
    return HessianEigenvalues(
        ends.largest, ends.smallest, both[order], ends.residual, ends.products
    )
