"""Both ends of a symmetric matrix's spectrum, known by its products only."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ends:
    """Eigenvalues at the two ends of a spectrum.

    Args:
        largest: `(count,)` float64, the largest first.
        smallest: `(count,)` float64, the smallest first.
        residual: float >= 0. Within this distance of each value lies an eigenvalue.
        products: int >= 1, how many were taken.
    """

    largest: np.ndarray
    smallest: np.ndarray
    residual: float
    products: int


def ends(
    product: Callable[[np.ndarray], np.ndarray],
    size: int,
    count: int,
    tolerance: float,
    limit: int,
    seed: int,
) -> Ends:
    """The largest and the smallest eigenvalues, by the band Lanczos method.

    Lanczos' method from `count` start vectors (Ruhe 1979), with full reorthogonalisation: an
    eigenvalue that repeats is found up to `count` times, where one start vector finds it once. With
    one start vector it is Lanczos' own.

    Args:
        product: the matrix times a vector, `(size,)` float64 to `(size,)` float64.
        size: int >= 1. Keeps one vector of this size for each product.
        count: int from 1 to `size`, the eigenvalues wanted at each end.
        tolerance: float >= 0. Stops when the residuals are below it times the largest |eigenvalue|.
        limit: int >= `count`, of the products.
        seed: int >= 0, of the start vectors.

    Returns:
        The ends; NaN if a product is not finite.
    """
    rng = np.random.default_rng(seed)
    limit, scale = min(limit, size), 0.0
    basis, columns = np.empty((min(limit, 64), size)), list[np.ndarray]()
    # What the basis does not span yet: of the start vectors, later of the last `count` images.
    waiting = list(rng.standard_normal((count, size)))
    while True:
        taken = len(columns)
        rest, _ = _outside(basis[:taken], waiting.pop(0))
        if taken >= count and np.linalg.norm(rest) <= 1e-12 * scale:
            # The images stay in the span: go on from a vector that does not.
            rest, _ = _outside(basis[:taken], rng.standard_normal(size))
        if taken == len(basis):
            basis = np.concatenate([basis, np.empty_like(basis)])
        basis[taken] = vector = rest / np.linalg.norm(rest)
        image = product(vector)
        taken += 1
        if not np.isfinite(image).all():
            unknown = np.full(count, np.nan)
            return Ends(unknown, unknown, float("nan"), taken)
        scale = max(scale, float(np.linalg.norm(image)))
        image, inside = _outside(basis[:taken], image)
        columns.append(inside)
        waiting = [*(rest - (rest @ vector) * vector for rest in waiting), image]
        # Looking costs the cube of what is taken, so not at every one.
        if taken == limit or (taken >= 2 * count and taken % (1 + taken // 20) == 0):
            values, vectors = np.linalg.eigh(_symmetric(columns))
            wanted = [*range(count), *range(taken - count, taken)]
            rests = np.stack(waiting, 1) @ vectors[-count:, wanted]
            residual = 0.0 if taken == size else float(np.linalg.norm(rests, axis=0).max())
            if taken == limit or residual <= tolerance * np.abs(values).max():
                return Ends(values[::-1][:count].copy(), values[:count].copy(), residual, taken)


def _outside(basis: np.ndarray, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vector less its part in the span of the rows, and that part's coordinates."""
    inside = np.zeros(len(basis))
    for _ in range(2):  # once leaves round-off of the size of what cancels
        more = basis @ vector
        vector = vector - more @ basis
        inside += more
    return vector, inside


def _symmetric(columns: list[np.ndarray]) -> np.ndarray:
    """The matrix whose upper triangle has these columns."""
    upper = np.zeros((len(columns),) * 2)
    for place, column in enumerate(columns):
        upper[: place + 1, place] = upper[place, : place + 1] = column
    return upper
