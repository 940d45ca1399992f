"""The spectral norm of a symmetric matrix that is known by its products only."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import eigh_tridiagonal


def spectral_norm(
    product: Callable[[np.ndarray], np.ndarray], size: int, tolerance: float = 1e-4, seed: int = 0
) -> float:
    """The largest |eigenvalue|, by Lanczos' method with full reorthogonalisation.

    Stops when the residual of the Ritz pair, which bounds its distance to an eigenvalue, is below
    `tolerance` times the estimate (Parlett 1980, chapter 13).

    Args:
        product: the matrix times a vector, `(size,)` float64 to `(size,)` float64.
        size: int >= 1. Keeps one vector of this size for each product.
        tolerance: float >= 0, relative.
        seed: int >= 0, of the start vector.

    Returns:
        float >= 0; NaN if a product is not finite.

    Examples:
        >>> round(spectral_norm(lambda v: np.array([1.0, -3.0]) * v, 2), 12)
        3.0
    """
    start = np.random.default_rng(seed).standard_normal(size)
    vector = start / np.linalg.norm(start)
    basis = np.empty((0, size))
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    while True:
        basis = np.vstack([basis, vector])
        image = product(vector)
        if not np.isfinite(image).all():
            return float("nan")
        diagonal.append(float(vector @ image))
        for _ in range(2):  # once leaves round-off of the size of what cancels
            image = image - basis.T @ (basis @ image)
        rest = float(np.linalg.norm(image))
        values, vectors = eigh_tridiagonal(diagonal, off_diagonal)
        top = np.argmax(np.abs(values))
        estimate = float(np.abs(values[top]))
        if rest * np.abs(vectors[-1, top]) <= tolerance * estimate or len(basis) == size:
            return estimate
        off_diagonal.append(rest)
        vector = image / rest
