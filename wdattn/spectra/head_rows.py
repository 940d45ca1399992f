"""Everything the gauges say about one attention layer, as plain rows: one a head and product."""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from wdattn.spectra.attention_heads import PRODUCTS, AttentionHeads
from wdattn.spectra.balance import balancedness, nuclear_gap, row_norm_correlation
from wdattn.spectra.gaussian_null import gaussian_null
from wdattn.spectra.product_spectra import product_spectra, triangle
from wdattn.spectra.ranks import entropy_rank, pseudo_rank, stable_rank

# The same shape comes again in every layer.
null_of = lru_cache(maxsize=None)(gaussian_null)


def head_rows(attention: AttentionHeads, biases: bool = False) -> list[dict[str, Any]]:
    """A row for each head of `key_query`, then one for each head of `value_output`.

    The spectrum is the head's own. Gap, balance and correlation are its group's, which heads that
    share a key and a value have in common; a group of one head is that head. `null_` is what
    independent Gaussian factors of the same shape show.

    Args:
        attention: the matrices of one layer.
        biases: bool. Whether biases count, as one more input coordinate held at 1.

    Returns:
        Rows of plain numbers, ready for JSON; None where a number is not defined.

    Raises:
        ValueError: if a weight is not finite.
    """
    return [row for name in PRODUCTS for row in _rows(attention, name, biases)]


def _rows(attention: AttentionHeads, name: str, biases: bool) -> list[dict[str, Any]]:
    shared, own = attention.product(name, biases)
    in_group = len(own) // len(shared)
    rank, width = own.shape[2], (attention.query if name == "key_query" else own).shape[1]
    turned = attention.rotary if name == "key_query" else None
    # The gauges read Gram matrices alone, which the triangles of a QR decomposition share.
    left, right = triangle(shared), triangle(own)
    spectra = product_spectra(left, right)
    ranks = pseudo_rank(spectra, width)
    gap, balance = nuclear_gap(left, right), balancedness(left, right, turned)
    of_head = {
        "pseudo_rank": ranks.count,
        "pseudo_rank_of_rank": ranks.of_rank,
        "pseudo_rank_of_width": ranks.of_width,
        "null_pseudo_rank": np.full(
            len(own), null_of(shared.shape[1], own.shape[1], rank).pseudo_rank
        ),
        "entropy_rank": entropy_rank(spectra),
        "stable_rank": stable_rank(spectra),
        "nuclear_norm": spectra.sum(1),
    }
    of_group = {
        "nuclear_ratio": gap.ratio,
        "null_nuclear_ratio": np.full(
            len(shared), null_of(shared.shape[1], in_group * own.shape[1], rank).nuclear_ratio
        ),
        "nuclear_gap": gap.relative,
        "nuclear_gap_absolute": gap.absolute,
        "balancedness": balance.relative,
        "balancedness_absolute": balance.absolute,
        "row_norm_correlation": row_norm_correlation(left, right, turned),
    }
    return [
        {
            "layer": attention.name,
            "head": head,
            "group": head // in_group,
            "product": name,
            "rotary": turned is not None,
            "query_key_norm": attention.query_key_norm and name == "key_query",
            "left_rows": shared.shape[1],
            "right_rows": own.shape[1],
            **{key: _plain(values[head]) for key, values in of_head.items()},
            **{key: _plain(values[head // in_group]) for key, values in of_group.items()},
            "singular_values": spectra[head].tolist(),
        }
        for head in range(len(own))
    ]


def _plain(value) -> int | float | None:
    """A Python number, for which JSON has a word."""
    number = value.item()
    return number if math.isfinite(number) else None
