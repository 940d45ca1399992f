"""How many directions a spectrum uses: a count, and smooth companions of it."""

from dataclasses import dataclass

import numpy as np

from wdattn import arguments

# Below the share by no more than round-off is on it.
_ROUND_OFF = 1e-12


@dataclass(frozen=True)
class PseudoRank:
    """How many singular values make up most of their sum, and which part of all that is.

    Args:
        count: int, shape of the spectra without their last axis. 0 for a product that is zero.
        of_rank: float64, `count` over the number of singular values given: k / d_k.
        of_width: float64, `count` over the width of the product: k / d_m. None without a width.
    """

    count: np.ndarray
    of_rank: np.ndarray
    of_width: np.ndarray | None


def pseudo_rank(
    singular_values: np.ndarray, width: int | None = None, share: float = 0.95
) -> PseudoRank:
    r"""The smallest k whose k largest singular values make up `share` of the sum of all.

    $$k = \min \Big\{ k : \sum_{i \le k} \sigma_i \ge 0.95 \sum_i \sigma_i \Big\}$$

    Kobayashi et al. (2024): the sum of the values, not of their squares. It moves in steps of
    1 / d_k; `entropy_rank` is smooth.

    Args:
        singular_values: `(..., n)` float >= 0, in any order.
        width: int >= 1, d_m for a d_m x d_m product, or None.
        share: float in (0, 1].

    Returns:
        k, k / n and k / width.

    Raises:
        ValueError: if a singular value is negative or not finite, or `width` or `share` is out of
            range.

    Examples:
        >>> pseudo_rank([4.0, 4.0, 1.5, 0.5], width=8)
        PseudoRank(count=array(3), of_rank=array(0.75), of_width=array(0.375))
    """
    values = _spectra(singular_values)
    share = arguments.real("share", share, above=0, most=1)
    width = arguments.integer_or_none("width", width)
    sums = np.cumsum(-np.sort(-values), axis=-1)
    total = sums[..., -1]
    short = sums < (share * (1 - _ROUND_OFF) * total)[..., None]
    count = np.asarray(np.where(total > 0, short.sum(-1) + 1, 0))
    part = None if width is None else np.asarray(count / width)
    return PseudoRank(count, np.asarray(count / values.shape[-1]), part)


def entropy_rank(singular_values: np.ndarray) -> np.ndarray:
    r"""The number of equal singular values that would have the same entropy, over their number.

    $$\frac{1}{n} \exp\Big( -\sum_i p_i \ln p_i \Big), \qquad p_i = \sigma_i \Big/ \sum_j \sigma_j$$

    Roy & Vetterli (2007) call the exponential the effective rank.

    Args:
        singular_values: `(..., n)` float >= 0.

    Returns:
        float64 in [1/n, 1]; NaN for a product that is zero.

    Raises:
        ValueError: if a singular value is negative or not finite.

    Examples:
        >>> entropy_rank([2.0, 2.0, 0.0, 0.0])
        array(0.5)
    """
    values = _spectra(singular_values)
    with np.errstate(invalid="ignore"):
        shares = values / values.sum(-1, keepdims=True)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy = -(shares * logs).sum(-1)
    return np.asarray(np.exp(entropy) / values.shape[-1])


def stable_rank(singular_values: np.ndarray) -> np.ndarray:
    r"""The sum of squared singular values over the largest square.

    $$\|W\|_F^2 \big/ \|W\|_2^2$$

    Args:
        singular_values: `(..., n)` float >= 0.

    Returns:
        float64 in [1, n]; NaN for a product that is zero.

    Raises:
        ValueError: if a singular value is negative or not finite.

    Examples:
        >>> stable_rank([2.0, 1.0, 1.0])
        array(1.5)
    """
    values = _spectra(singular_values)
    with np.errstate(invalid="ignore"):
        return np.asarray(((values / values.max(-1, keepdims=True)) ** 2).sum(-1))


def _spectra(values) -> np.ndarray:
    values = arguments.numbers("singular_values", values)
    if values.ndim < 1 or not values.shape[-1]:
        raise ValueError(f"`singular_values` must be (..., n) with n >= 1, got {values.shape}")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError(
            f"`singular_values` must be finite and at least 0, got {values.min()} to {values.max()}"
        )
    return values
