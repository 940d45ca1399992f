"""The matrices of one attention layer, head by head."""

from dataclasses import dataclass

import numpy as np

PRODUCTS = ("key_query", "value_output")


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
        if name == "key_query":
            pair = (self.key, self.key_bias), (self.query, self.query_bias)
        elif name == "value_output":
            pair = (self.value, self.value_bias), (self.output, None)
        else:
            raise ValueError(f"`name` must be one of {', '.join(PRODUCTS)}, got {name!r}")
        shared, own = (_with_bias(*part) if biases else part[0] for part in pair)
        return shared, own


def rotated_halves(rank: int) -> np.ndarray:
    """The pairs `(i, i + rank / 2)` of a rotary embedding, `(rank / 2, 2)`."""
    return np.arange(rank).reshape(2, -1).T


def rotated_neighbours(rank: int) -> np.ndarray:
    """The pairs `(2 i, 2 i + 1)` of a rotary embedding, `(rank / 2, 2)`."""
    return np.arange(rank).reshape(-1, 2)


def _with_bias(factor: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    return factor if bias is None else np.concatenate([factor, bias[:, None]], axis=1)
