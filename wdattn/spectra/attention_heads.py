"""The matrices of one attention layer, head by head."""

from dataclasses import dataclass

import numpy as np

from wdattn import arguments

PRODUCTS = ("key_query", "value_output")
_FACTORS = {"key_query": ("key", "query"), "value_output": ("value", "output")}
_LARGEST = 1e70  # the fourth power, which norms of Gram matrices take, is still a float64


@dataclass(frozen=True)
class AttentionHeads:
    """The matrices of one attention layer, head by head, the tokens' side first.

    Where heads share a key and a value (grouped-query attention), `key` and `value` have one
    entry a group, and query heads `g * heads / groups` to `(g + 1) * heads / groups - 1` use
    entry g.

    Args:
        name: str. The layer's path in its model.
        query: `(heads, width, d_k)` float64: W_Q transposed, in the notation of Kobayashi et al.
        key: `(groups, width, d_k)` float64: W_K transposed.
        value: `(groups, width, d_v)` float64: W_V transposed.
        output: `(heads, width, d_v)` float64: P.
        query_bias: `(heads, d_k)` float64, or None.
        key_bias: `(groups, d_k)` float64, or None.
        value_bias: `(groups, d_v)` float64, or None.
        rotary: `(pairs, 2)` int, the hidden units that a rotary embedding turns together, or None.
        query_key_norm: bool. Whether queries and keys are normalised before their product, under
            which no balance of their weights is kept.

    Raises:
        ValueError: if the matrices do not fit each other, or hold a number that is not finite.
    """

    name: str
    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    output: np.ndarray
    query_bias: np.ndarray | None = None
    key_bias: np.ndarray | None = None
    value_bias: np.ndarray | None = None
    rotary: np.ndarray | None = None
    query_key_norm: bool = False

    def __post_init__(self):
        for name in PRODUCTS:
            self._check_factors(name)
        for name in ("query", "key", "value"):
            matrix, bias = getattr(self, name), getattr(self, f"{name}_bias")
            if bias is not None and np.shape(bias) != np.shape(matrix)[::2]:
                raise ValueError(
                    f"`{name}_bias` of {self.name!r} must have the shape {np.shape(matrix)[::2]}, "
                    f"got {np.shape(bias)}"
                )
            check_finite(f"{name}_bias", bias, self.name)
        if self.rotary is not None:
            check_rotary(self.rotary, np.shape(self.query)[2])

    def _check_factors(self, product: str) -> None:
        left, right = _FACTORS[product]
        shared, own = (np.shape(getattr(self, name)) for name in (left, right))
        fits = len(shared) == len(own) == 3 and shared[2] == own[2] and 0 not in shared + own
        if not fits or own[0] % shared[0]:
            raise ValueError(
                f"`{left}` and `{right}` of {self.name!r} must be (groups, width, rank) and "
                f"(heads, width, rank), same rank, heads a multiple of groups, got {shared} and "
                f"{own}"
            )
        for name in (left, right):
            check_finite(name, getattr(self, name), self.name)

    @property
    def heads(self) -> int:
        """How many heads ask."""
        return len(self.query)

    @property
    def groups(self) -> int:
        """How many keys and values there are: as many as heads, unless heads share them."""
        return len(self.key)

    def product(self, name: str, biases: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """The two factors of a product, for the functions of this room.

        Args:
            name: "key_query" for W_K^T W_Q, "value_output" for P W_V.
            biases: bool. Whether biases count, as one more input coordinate held at 1. The bias
                of the output belongs to no head and never counts.

        Returns:
            The factor of a group, `(groups, rows, rank)`, and that of a head, `(heads, rows,
            rank)`: key and query, or value and output.

        Raises:
            ValueError: if there is no product of that name.
        """
        left, right = _FACTORS[arguments.choice("name", name, PRODUCTS)]
        if not arguments.flag("biases", biases):
            return getattr(self, left), getattr(self, right)
        right_bias = self.query_bias if right == "query" else None
        return (
            _with_bias(getattr(self, left), getattr(self, f"{left}_bias")),
            _with_bias(getattr(self, right), right_bias),
        )


@dataclass(frozen=True)
class MergedHeads:
    """The products of an attention layer that trains them as they are, without factors.

    Such as `wdattn.layers.LinearSelfAttention` of Ahn et al. (2024). What is measured of factors
    (nuclear gap, balance, correlation of row norms) is not defined here.

    Args:
        name: str. The layer's path in its model.
        key_query: `(heads, width, width)` float64: W_K^T W_Q in the notation of Kobayashi et al.
        value_output: `(heads, width, width)` float64: P W_V.

    Raises:
        ValueError: if the matrices are not of these shapes, or hold a number that is not finite.
    """

    name: str
    key_query: np.ndarray
    value_output: np.ndarray

    def __post_init__(self):
        for product in PRODUCTS:
            shape = np.shape(getattr(self, product))
            if len(shape) != 3 or 0 in shape or shape[0] != np.shape(self.key_query)[0]:
                raise ValueError(
                    f"`{product}` of {self.name!r} must be (heads, width, width), got {shape}"
                )
            check_finite(product, getattr(self, product), self.name)

    @property
    def heads(self) -> int:
        """How many products of each kind there are."""
        return len(self.key_query)


def check_finite(name: str, values: np.ndarray | None, layer: str = "") -> None:
    """Refuses NaN, infinity, and numbers too large to measure.

    Raises:
        ValueError: if there is one; it names the matrix and, where it is known, the layer.
    """
    if values is None or (np.min(values) >= -_LARGEST and np.max(values) <= _LARGEST):
        return  # neither holds for NaN
    kind = "larger numbers" if np.isfinite(values).all() else "NaN or infinity"
    of = f" of {layer!r}" if layer else ""
    raise ValueError(f"`{name}`{of} must be finite and at most {_LARGEST:g}, got {kind}")


def check_rotary(rotary: np.ndarray, rank: int) -> None:
    """Refuses pairs of hidden units that are not there, or that share a unit.

    Raises:
        ValueError: if `rotary` is not `(pairs, 2)` distinct ints in [0, rank).
    """
    units = np.asarray(rotary)
    fits = units.ndim == 2 and units.shape[1] == 2 and np.issubdtype(units.dtype, np.integer)
    if not fits or len({*units.ravel().tolist()} & {*range(rank)}) < units.size:
        raise ValueError(
            f"`rotary` must be None or (pairs, 2) different ints in [0, {rank}), got {rotary!r}"
        )


def by_head(matrix: np.ndarray, heads: int, name: str) -> np.ndarray:
    """`(width, heads * rank)` as `(heads, width, rank)`.

    Raises:
        ValueError: if the columns are not that many.
    """
    if matrix.ndim != 2 or not matrix.size or matrix.shape[1] % heads:
        raise ValueError(f"`heads` must divide the columns of {name}, {matrix.shape}, got {heads}")
    return matrix.reshape(matrix.shape[0], heads, -1).transpose(1, 0, 2)


def bias_by_head(bias: np.ndarray | None, heads: int, name: str) -> np.ndarray | None:
    """`(heads * rank,)` as `(heads, rank)`.

    Raises:
        ValueError: if the numbers are not that many.
    """
    if bias is None:
        return None
    if bias.ndim != 1 or bias.size % heads:
        raise ValueError(f"`heads` must divide the bias of {name}, {bias.shape}, got {heads}")
    return bias.reshape(heads, -1)


def rotated_halves(rank: int) -> np.ndarray:
    """The pairs `(i, i + rank / 2)` of a rotary embedding, `(rank / 2, 2)`."""
    return np.arange(rank).reshape(2, -1).T


def rotated_neighbours(rank: int) -> np.ndarray:
    """The pairs `(2 i, 2 i + 1)` of a rotary embedding, `(rank / 2, 2)`."""
    return np.arange(rank).reshape(-1, 2)


def _with_bias(factor: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    return factor if bias is None else np.concatenate([factor, bias[:, None]], axis=1)
