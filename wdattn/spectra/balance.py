"""How far the two factors of a product are from what decay drives them to."""

from dataclasses import dataclass

import numpy as np

from wdattn.spectra.attention_heads import check_rotary
from wdattn.spectra.product_spectra import by_group, pair


@dataclass(frozen=True)
class NuclearGap:
    """How much half the squared norms of two factors exceed the nuclear norm of their product.

    Args:
        absolute: `(groups,)` float64 >= 0.
        relative: `(groups,)` float64 in [0, 1]: over half the squared norms.
        nuclear_norm: `(groups,)` float64: the sum of the product's singular values.
    """

    absolute: np.ndarray
    relative: np.ndarray
    nuclear_norm: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """The nuclear norm over half the squared norms, 1 - `relative`: 1 where decay has won."""
        return 1 - self.relative


@dataclass(frozen=True)
class Balancedness:
    """How far the Gram matrices of two factors are apart; 0 is balanced.

    Args:
        absolute: `(groups,)` float64 >= 0: the Frobenius norm of their difference.
        relative: `(groups,)` float64 in [0, 2]: over the mean of their own norms.
    """

    absolute: np.ndarray
    relative: np.ndarray


def nuclear_gap(left: np.ndarray, right: np.ndarray) -> NuclearGap:
    r"""What the decay of two factors costs beyond the nuclear norm of their product.

    $$g = \tfrac12 \big( \|A\|_F^2 + \|B\|_F^2 \big) - \|A B^\top\|_*$$

    Kobayashi et al. (2024), equation 5 and Theorem 3.4. Random factors come close to 0 by
    themselves (`gaussian_null`), and the absolute gap shrinks with the weights.

    Args:
        left: `(groups, rows, rank)` float. Where heads share it, they are stacked: B is the stack.
        right: `(heads, rows, rank)` float.

    Returns:
        Absolute and relative gap, and the nuclear norm; relative is NaN where both factors are 0.

    Raises:
        ValueError: if the factors do not fit each other, or hold a number that is not finite.
    """
    a, b = by_group(*pair(left, right))
    half = (np.square(a).sum((1, 2)) + np.square(b).sum((1, 2))) / 2
    nuclear = np.linalg.svd(a @ np.swapaxes(b, 1, 2), compute_uv=False).sum(1)
    gap = np.maximum(half - nuclear, 0.0)  # round-off may leave a zero gap slightly negative
    with np.errstate(invalid="ignore"):
        return NuclearGap(gap, gap / half, nuclear)


def balancedness(
    left: np.ndarray, right: np.ndarray, rotary: np.ndarray | None = None
) -> Balancedness:
    r"""How far the hidden Gram matrices of two factors are apart.

    $$\| A^\top A - B^\top B \|_F$$

    relative: over half the sum of the two norms. Kobayashi et al. (2024), Lemma B.1: under
    gradient flow the difference decays at twice the weight decay, entry by entry. A rotary
    embedding leaves that to the part of it alone that commutes with every rotation: the mean
    squared norm of each pair of units, and whatever is not rotated.

    Args:
        left: `(groups, rows, rank)` float. It is held against the sum over the heads that share it.
        right: `(heads, rows, rank)` float.
        rotary: `(pairs, 2)` int, the units that are rotated together, or None.

    Returns:
        Absolute and relative distance; relative is NaN where both factors are 0.

    Raises:
        ValueError: if the factors do not fit each other or hold a number that is not finite, or
            `rotary` has units that are not there.
    """
    factors = by_group(*_turned_pair(left, right, rotary))
    a, b = (_commuting(np.swapaxes(r, 1, 2) @ r, rotary) for r in factors)
    absolute, size_a, size_b = (np.linalg.norm(gram, axis=(1, 2)) for gram in (a - b, a, b))
    with np.errstate(invalid="ignore"):
        return Balancedness(absolute, absolute / ((size_a + size_b) / 2))


def row_norm_correlation(
    left: np.ndarray, right: np.ndarray, rotary: np.ndarray | None = None
) -> np.ndarray:
    """Correlation over hidden units of the two factors' squared norms.

    Kobayashi et al. (2024), figures 4 and 6, draw these norms for pre-trained models: rows of W_Q
    against rows of W_K, rows of W_V against columns of P. It is 0 for independent factors,
    however large, and 1 for balanced ones whose norms differ from unit to unit.

    Args:
        left: `(groups, rows, rank)` float. It is held against the sum over the heads that share it.
        right: `(heads, rows, rank)` float.
        rotary: `(pairs, 2)` int, units whose squared norms are added up first, or None.

    Returns:
        `(groups,)` float64 in [-1, 1]; NaN where all norms of a factor are equal.

    Raises:
        ValueError: as `balancedness`.
    """
    norms = []
    for triangle in by_group(*_turned_pair(left, right, rotary)):
        squares = np.square(triangle).sum(1)
        if rotary is not None:
            alone = np.delete(squares, np.ravel(rotary), axis=1)
            squares = np.concatenate([squares[:, rotary].sum(2), alone], axis=1)
        centred = squares - squares.mean(1, keepdims=True)
        with np.errstate(invalid="ignore"):  # over the largest, whose square is a float64 again
            norms.append(centred / np.abs(centred).max(1, keepdims=True))
    a, b = norms
    return (a * b).sum(1) / np.sqrt(np.square(a).sum(1) * np.square(b).sum(1))


def _turned_pair(left, right, rotary) -> tuple[np.ndarray, np.ndarray]:
    left, right = pair(left, right)
    if rotary is not None:
        check_rotary(rotary, left.shape[2])
    return left, right


def _commuting(gram: np.ndarray, rotary: np.ndarray | None) -> np.ndarray:
    """The part of symmetric matrices that commutes with every rotation of the pairs."""
    if rotary is None:
        return gram
    rank = gram.shape[1]
    alone = np.delete(np.arange(rank), rotary.ravel())
    part = np.zeros_like(gram)
    part[:, alone[:, None], alone] = gram[:, alone[:, None], alone]
    diagonal = np.diagonal(gram, axis1=1, axis2=2)
    for units in rotary.T:
        part[:, units, units] = diagonal[:, rotary].mean(2)
    return part
