"""Statistics of a sample's upper tail, and the Gaussian that a set of vectors is held against."""

import numpy as np

from wdattn import arguments

# Numbers drawn at once for the matched Gaussian (32 MiB of float64).
_DRAWS = 2**22


def quantile_ratio(values: np.ndarray, quantile: float = 0.999) -> float:
    """An upper quantile over the median.

    With fewer than about `1 / (1 - quantile)` values the quantile is close to the largest of them.

    Args:
        values: `(count,)` non-negative float, at least one.
        quantile: float in (0.5, 1).

    Returns:
        float >= 1; NaN if a value is not finite or the median is 0.

    Raises:
        ValueError: if `values` is not a vector of non-negative numbers or `quantile` is outside.

    Examples:
        >>> round(quantile_ratio(np.arange(1001), quantile=0.9), 12)
        1.8
    """
    values = _sample(values, least=1)
    quantile = arguments.real("quantile", quantile, above=0.5, below=1)
    if not np.isfinite(values).all():
        return float("nan")
    upper, median = np.quantile(values, [quantile, 0.5])
    return float(upper / median) if median > 0 else float("nan")


def hill_index(values: np.ndarray, share: float = 0.01) -> float:
    r"""The exponent of a power-law tail, from the largest values (Hill 1975).

    $$\hat\alpha = k \Big/ \sum_{i=1}^{k} \ln \frac{x_{(i)}}{x_{(k+1)}}$$

    with the values in descending order and k = `share` of their number, rounded down, 1 at least. A
    Pareto or Student-t tail P(X > x) ~ x^-alpha has index alpha; the lighter the tail, the larger
    the index. Its relative standard error is about 1/sqrt(k).

    Args:
        values: `(count,)` non-negative float, at least two.
        share: float in (0, 1). The part of the values that counts as the tail.

    Returns:
        float >= 0; inf if the tail's values are all equal, NaN if a value is not finite or the
        (k+1)-th is 0.

    Raises:
        ValueError: if `values` is not a vector of non-negative numbers or `share` is outside.

    Examples:
        >>> round(hill_index(np.array([1.0, 1.0, np.e, np.e**3]), share=0.5), 12)
        0.5
    """
    values = _sample(values, least=2)
    share = arguments.real("share", share, above=0, below=1)
    count = max(1, int(share * len(values)))
    largest = np.sort(values)[-count - 1 :]
    if not (np.isfinite(largest[-1]) and largest[0] > 0):
        return float("nan")
    excess = np.log(largest[1:] / largest[0]).mean()
    return float(1 / excess) if excess > 0 else float("inf")


def standardised_moment(values: np.ndarray, order: int) -> float:
    """Mean of `((values - mean) / sd)**order`: order 3 is the skewness, 4 the kurtosis.

    Args:
        values: `(count,)` float.
        order: int >= 1.

    Returns:
        float; NaN if the values are all equal or one is not finite. The standard deviation is the
        population's (divisor `count`).

    Examples:
        >>> standardised_moment(np.array([-1.0, 1.0, -1.0, 1.0]), 4)
        1.0
    """
    values = np.asarray(values, "float64")
    with np.errstate(invalid="ignore"):
        centred = values - values.mean()
        deviation = np.sqrt(np.mean(centred**2))
        return float(np.mean((centred / deviation) ** order)) if deviation > 0 else float("nan")


def covariance_eigenvalues(vectors: np.ndarray) -> np.ndarray:
    """Eigenvalues of the sample covariance, from the smaller of its two Gram matrices.

    Args:
        vectors: `(count, size)` float, at least two.

    Returns:
        `(min(count, size),)` float64, largest first, in the unit of `vectors` squared; NaN
        throughout if an entry is not finite.
    """
    vectors = np.asarray(vectors, "float64")
    count, size = vectors.shape
    if not np.isfinite(vectors).all():
        return np.full(min(count, size), np.nan)
    centred = vectors - vectors.mean(0)
    gram = centred.T @ centred if size <= count else centred @ centred.T
    # Round-off may leave a zero eigenvalue slightly negative.
    return np.maximum(np.linalg.eigvalsh(gram)[::-1] / (count - 1), 0.0)


def gaussian_norms(eigenvalues: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Norms of `count` Gaussian vectors with mean 0 and a covariance of these eigenvalues.

    The squared norm is a sum of `eigenvalue * chi2_1`, so the vectors are never formed.

    Args:
        eigenvalues: `(rank,)` float >= 0.
        count: int >= 1.
        seed: int >= 0.

    Returns:
        `(count,)` float64.
    """
    generator = np.random.default_rng(seed)
    rows = max(1, _DRAWS // max(1, len(eigenvalues)))
    squares = [
        generator.standard_normal((min(rows, count - start), len(eigenvalues))) ** 2 @ eigenvalues
        for start in range(0, count, rows)
    ]
    return np.sqrt(np.concatenate(squares))


def _sample(values: np.ndarray, least: int) -> np.ndarray:
    values = arguments.array("values", values, "count")
    if len(values) < least or (values < 0).any():
        raise ValueError(
            f"`values` must be a vector of at least {least} non-negative numbers, "
            f"got {len(values)}, the smallest {values.min()}"
        )
    return values
