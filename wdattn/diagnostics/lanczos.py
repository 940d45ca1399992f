"""Eigenvalues of a symmetric matrix that is known by its products only."""

from collections.abc import Callable, Iterator
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
    """The largest and the smallest eigenvalues, by the band Lanczos method from `count` vectors.

    Args:
        product: the matrix times a vector, `(size,)` float64 to `(size,)` float64.
        size: int >= 1. Keeps one vector of this size for each product.
        count: int from 1 to `size`, the eigenvalues wanted at each end. One that repeats is found
            up to `count` times.
        tolerance: float >= 0. Stops when the residuals are below it times the largest |eigenvalue|.
        limit: int >= `count`, of the products.
        seed: int >= 0, of the start vectors.

    Returns:
        The ends; NaN if a product is not finite.
    """
    for ritz in _ritz(product, size, count, min(limit, size), seed):
        residual = float(np.concatenate([ritz.residuals[:count], ritz.residuals[-count:]]).max())
        scale = np.abs(ritz.values).max()
        # Of few products the two ends share values.
        if ritz.products >= 2 * count and residual <= tolerance * scale:
            break
    largest, smallest = ritz.values[::-1][:count], ritz.values[:count]
    return Ends(largest.copy(), smallest.copy(), residual, ritz.products)


def spectral_norm(
    product: Callable[[np.ndarray], np.ndarray], size: int, tolerance: float = 1e-4, seed: int = 0
) -> float:
    """The largest |eigenvalue|, by Lanczos' method from one vector.

    Args:
        product: the matrix times a vector, `(size,)` float64 to `(size,)` float64.
        size: int >= 1. Keeps one vector of this size for each product.
        tolerance: float >= 0. Stops when the residual of that one eigenvalue, which bounds its
            error, is below it times the estimate.
        seed: int >= 0, of the start vector.

    Returns:
        float >= 0; NaN if a product is not finite.

    Examples:
        >>> round(spectral_norm(lambda v: np.array([1.0, -3.0]) * v, 2), 12)
        3.0
    """
    for ritz in _ritz(product, size, 1, size, seed):
        top = np.argmax(np.abs(ritz.values))
        estimate = float(np.abs(ritz.values[top]))
        if ritz.residuals[top] <= tolerance * estimate:
            break
    return estimate


@dataclass(frozen=True)
class _Ritz:
    """The eigenvalues that so many products show, smallest first, and how far off each may be."""

    values: np.ndarray
    residuals: np.ndarray
    products: int


def _ritz(
    product: Callable[[np.ndarray], np.ndarray], size: int, count: int, limit: int, seed: int
) -> Iterator[_Ritz]:
    """The band Lanczos method: ever better values, the last ones of `limit` products.

    Lanczos' method from `count` start vectors (Ruhe 1979), with full reorthogonalisation: an
    eigenvalue that repeats is found up to `count` times, where one start vector finds it once. With
    one start vector it is Lanczos' own (Parlett 1980, chapter 13). A product that is not finite
    ends it with NaN.
    """
    rng, scale = np.random.default_rng(seed), 0.0
    basis, columns = np.empty((min(limit, 64), size)), list[np.ndarray]()
    # What the basis does not span yet: of the start vectors, later of the last `count` images.
    waiting = list(rng.standard_normal((count, size)))
    for taken in range(1, limit + 1):
        rest, _ = _outside(basis[: taken - 1], waiting.pop(0))
        if taken > count and np.linalg.norm(rest) <= 1e-12 * scale:
            # The images stay in the span: go on from a vector that does not.
            rest, _ = _outside(basis[: taken - 1], rng.standard_normal(size))
        if taken > len(basis):
            basis = np.concatenate([basis, np.empty_like(basis)])
        basis[taken - 1] = vector = rest / np.linalg.norm(rest)
        image = product(vector)
        if not np.isfinite(image).all():
            unknown = np.full(count, np.nan)
            yield _Ritz(unknown, unknown, taken)
            return
        scale = max(scale, float(np.linalg.norm(image)))
        image, inside = _outside(basis[:taken], image)
        columns.append(inside)
        waiting = [*(rest - (rest @ vector) * vector for rest in waiting), image]
        # Looking costs the cube of what is taken, so not at every one.
        if taken == limit or (taken >= count and taken % (1 + taken // 20) == 0):
            values, vectors = np.linalg.eigh(_symmetric(columns))
            # The length of what waits times each vector's last entries, by its small factor.
            rests = np.linalg.qr(np.stack(waiting, 1), "r") @ vectors[-count:]
            yield _Ritz(values, np.linalg.norm(rests, axis=0) * (taken < size), taken)


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
    for number, column in enumerate(columns):
        upper[: number + 1, number] = upper[number, : number + 1] = column
    return upper
