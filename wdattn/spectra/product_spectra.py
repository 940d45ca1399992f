"""Singular values of each head's product, which is never formed."""

from typing import overload

import numpy as np

from wdattn import arguments
from wdattn.spectra.attention_heads import PRODUCTS, AttentionHeads, MergedHeads, check_finite


@overload
def product_spectra(left: AttentionHeads | MergedHeads) -> dict[str, np.ndarray]: ...


@overload
def product_spectra(left: np.ndarray, right: np.ndarray) -> np.ndarray: ...


def product_spectra(
    left: np.ndarray | AttentionHeads | MergedHeads, right: np.ndarray | None = None
) -> np.ndarray | dict[str, np.ndarray]:
    r"""Singular values of `left @ right^T` for each head, without forming the product.

    $$A = Q_A R_A, \quad B = Q_B R_B \quad\Rightarrow\quad \sigma(A B^\top) = \sigma(R_A R_B^\top)$$

    Kobayashi et al. (2024) look at these spectra for W_K^T W_Q and P W_V. For d x d products of
    rank r it costs O(d r^2) where their own singular values cost O(d^3).

    Args:
        left: `(groups, rows, rank)` float. Each serves `heads / groups` consecutive heads. Or a
            layer, as `wdattn.diagnostics.attention_layers` gives it: then both of its products.
        right: `(heads, rows, rank)` float, `rows` not necessarily those of `left`. None with a
            layer.

    Returns:
        `(heads, rank)` float64, largest first; fewer where a factor has fewer rows than `rank`. Of
        a layer a dict of these, by the names "key_query" and "value_output".

    Raises:
        ValueError: if the factors do not fit each other, or hold a number that is not finite.

    Examples:
        >>> product_spectra([[[3.0, 0.0], [0.0, 1.0]]], [[[2.0, 0.0], [0.0, 1.0]]])
        array([[6., 1.]])
    """
    if isinstance(left, AttentionHeads | MergedHeads):
        if right is not None:
            raise ValueError(f"`right` must be None with a layer, got {type(right).__name__}")
        return {name: _of_layer(left, name) for name in PRODUCTS}
    if right is None:
        raise ValueError(
            f"`right` must be an array, unless `left` is a layer; got a {type(left).__name__} alone"
        )
    left, right = pair(left, right)
    triangles, own = triangle(left), triangle(right)
    shared = np.repeat(triangles, len(right) // len(left), axis=0)
    return np.linalg.svd(shared @ np.swapaxes(own, 1, 2), compute_uv=False)


def _of_layer(layer: AttentionHeads | MergedHeads, name: str) -> np.ndarray:
    if isinstance(layer, MergedHeads):
        return np.linalg.svd(np.asarray(getattr(layer, name), "float64"), compute_uv=False)
    return product_spectra(*layer.product(name))


def triangle(factor: np.ndarray) -> np.ndarray:
    """R of a QR decomposition: it has the factor's Gram matrix and is no larger than that."""
    # One by one: a stack would be copied whole.
    return np.stack([np.linalg.qr(matrix, mode="r") for matrix in factor])


def by_group(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both factors `(groups, rows, rank)` as triangles, `right` stacked over the heads of a group.

    The gradient of a shared factor is the sum over its heads, so what decay balances it against
    is the sum of their Gram matrices: the Gram matrix of the stack.
    """
    groups, rank = len(left), left.shape[2]
    return triangle(left), triangle(triangle(right).reshape(groups, -1, rank))


def pair(left, right) -> tuple[np.ndarray, np.ndarray]:
    """Two factors as float64, checked at the door.

    Raises:
        ValueError: as `product_spectra`.
    """
    left, right = arguments.numbers("left", left), arguments.numbers("right", right)
    fits = left.ndim == right.ndim == 3 and left.shape[2] == right.shape[2]
    if not fits or 0 in left.shape + right.shape or len(right) % len(left):
        raise ValueError(
            "`left` must be (groups, rows, rank) and `right` (heads, rows, rank), same rank, heads "
            f"a multiple of groups, got {left.shape} and {right.shape}"
        )
    check_finite("left", left)
    check_finite("right", right)
    return left, right
