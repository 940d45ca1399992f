"""What independent Gaussian factors show: the mark that a trained head has to beat."""

from dataclasses import dataclass

import numpy as np

from wdattn import arguments
from wdattn.spectra.ranks import pseudo_rank


@dataclass(frozen=True)
class GaussianNull:
    """Products of independent Gaussian factors, the mean over draws.

    Args:
        singular_values: `(rank,)` float64, of factors whose squared norms are 1 on average.
        nuclear_ratio: float. Nuclear norm over half the squared norms.
        pseudo_rank: float. k of `pseudo_rank`, in general no whole number.
    """

    singular_values: np.ndarray
    nuclear_ratio: float
    pseudo_rank: float


def gaussian_null(
    left_rows: int, right_rows: int, rank: int, draws: int = 32, seed: int = 0
) -> GaussianNull:
    """What the functions of this room show where there is nothing to see.

    The pairs of norms that Kobayashi et al. (2024) draw in figures 4 and 6 lie close to the
    diagonal for independent Gaussian factors already, the closer the wider the model; only what
    exceeds that is evidence. Row norms of such factors have correlation 0.

    Args:
        left_rows: int >= 1. Rows of one factor.
        right_rows: int >= 1. Rows of the other.
        rank: int >= 1. Columns of both.
        draws: int >= 1.
        seed: int >= 0.

    Returns:
        Means over the draws.

    Raises:
        ValueError: if a size is no int, or below 1, or `seed` below 0.

    Examples:
        >>> round(gaussian_null(4096, 4096, 128).nuclear_ratio, 3)
        0.992
    """
    left_rows = arguments.integer("left_rows", left_rows)
    right_rows = arguments.integer("right_rows", right_rows)
    rank, draws = arguments.integer("rank", rank), arguments.integer("draws", draws)
    generator = np.random.default_rng(arguments.integer("seed", seed, least=0))
    a = _triangles(generator, draws, left_rows, rank)
    b = _triangles(generator, draws, right_rows, rank)
    values = np.linalg.svd(a @ np.swapaxes(b, 1, 2), compute_uv=False)
    half = (np.square(a).sum((1, 2)) + np.square(b).sum((1, 2))) / 2
    return GaussianNull(
        singular_values=values.mean(0),
        nuclear_ratio=float((values.sum(1) / half).mean()),
        pseudo_rank=float(pseudo_rank(values).count.mean()),
    )


def _triangles(generator, draws, rows, rank):
    """R of the QR decomposition of Gaussian matrices, `(draws, min(rows, rank), rank)`.

    Bartlett (1933): chi-distributed on the diagonal with rows, rows - 1, ... degrees of freedom,
    normal above it, all independent. The matrices themselves are never drawn.
    """
    size = min(rows, rank)
    triangles = np.triu(generator.standard_normal((draws, size, rank)), 1)
    diagonal = np.arange(size)
    squares = generator.chisquare(rows - diagonal, (draws, size))
    triangles[:, diagonal, diagonal] = np.sqrt(squares)
    return triangles / np.sqrt(rows * rank)
