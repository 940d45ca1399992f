"""The four factors of an attention head, and the two products through which they act."""

from dataclasses import dataclass
from typing import Any

from keras import ops

from wdattn.ops.float_tensor import float_tensor


@dataclass(frozen=True)
class AttentionProducts:
    r"""The products of each head, $W_K^\top W_Q$ and $P W_V$ of Kobayashi et al. (2024), Section 3.

    With tokens as columns, $e_j^\top W_K^\top W_Q e_i$ is the score of query i and key j before it
    is divided by $\sqrt{d_k}$, and $P W_V e_j$ is what key j adds to the output.

    Args:
        key_query: `(heads, key features, query features)` tensor.
        value_output: `(heads, output features, value features)` tensor.
    """

    key_query: Any
    value_output: Any


@dataclass(frozen=True)
class AttentionFactors:
    r"""The four factors of each head, each with the model's features first, then the head's.

    In the notation of Kobayashi et al. (2024), Section 3, these are $W_Q^\top$, $W_K^\top$,
    $W_V^\top$ and $P$: both products are then $A B^\top$ with A and B from here, A = `key` and
    B = `query` for one, A = `output` and B = `value` for the other.

    Args:
        query: `(heads, query features, key_dim)` tensor.
        key: `(heads, key features, key_dim)` tensor.
        value: `(heads, value features, value_dim)` tensor.
        output: `(heads, output features, value_dim)` tensor.
    """

    query: Any
    key: Any
    value: Any
    output: Any

    def products(self) -> AttentionProducts:
        """The products of each head.

        Raises:
            ValueError: if the factors do not fit together.
        """
        for one, other in (("key", "query"), ("output", "value")):
            left, right = (
                float_tensor(name, getattr(self, name), "(heads, features, width)")
                for name in (one, other)
            )
            if left.shape[0] != right.shape[0] or left.shape[2] != right.shape[2]:
                raise ValueError(
                    f"`{one}` must have the heads and the width of `{other}`, "
                    f"{tuple(right.shape)}, got shape {tuple(left.shape)}"
                )
        # Not `ops.matmul`, which rounds float64 to float32 on PyTorch.
        return AttentionProducts(
            ops.einsum("hik,hjk->hij", self.key, self.query),
            ops.einsum("hik,hjk->hij", self.output, self.value),
        )
