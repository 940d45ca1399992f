"""Everything this room says about one attention layer, as plain rows: one a head and product."""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from wdattn import arguments
from wdattn.spectra.attention_heads import PRODUCTS, AttentionHeads, MergedHeads
from wdattn.spectra.balance import balancedness, nuclear_gap, row_norm_correlation
from wdattn.spectra.gaussian_null import gaussian_null
from wdattn.spectra.product_spectra import product_spectra, triangle
from wdattn.spectra.ranks import entropy_rank, pseudo_rank, stable_rank

Row = dict[str, Any]

OF_FACTORS = (
    "null_pseudo_rank",
    "null_nuclear_ratio",
    "nuclear_ratio",
    "nuclear_gap",
    "nuclear_gap_absolute",
    "balancedness",
    "balancedness_absolute",
    "row_norm_correlation",
)
"""The columns for which a product must have factors."""

# The same shape comes again in every layer.
null_of = lru_cache(maxsize=None)(gaussian_null)


def head_rows(attention: AttentionHeads | MergedHeads, biases: bool = False) -> list[Row]:
    """A row for each head of `key_query`, then one for each head of `value_output`.

    The spectrum is the head's own. Gap, balance and correlation are its group's, which heads that
    share a key and a value have in common; a group of one head is that head. `null_` is what
    independent Gaussian factors of the same shape show. A merged product has no factors, so all
    of these are None.

    Args:
        attention: the matrices of one layer.
        biases: bool. Whether biases count, as one more input coordinate held at 1.

    Returns:
        Rows of plain numbers, ready for JSON; None where a number is not defined.

    Raises:
        ValueError: if an argument is not of its kind.
    """
    biases = arguments.flag("biases", biases)
    if isinstance(attention, MergedHeads):
        return _of_products(attention)
    if not isinstance(attention, AttentionHeads):
        raise ValueError(
            "`attention` must be AttentionHeads or MergedHeads, as `attention_layers` gives them, "
            f"got {type(attention).__name__}"
        )
    return [row for name in PRODUCTS for row in _of_factors(attention, name, biases)]


def _of_products(attention: MergedHeads) -> list[Row]:
    rows: list[Row] = []
    for name, spectra in product_spectra(attention).items():
        of_head = _of_spectra(spectra, getattr(attention, name).shape[2])
        for head in range(attention.heads):
            rows.append(
                {
                    "layer": attention.name,
                    "head": head,
                    "group": head,
                    "product": name,
                    "merged": True,
                    "rotary": False,
                    "query_key_norm": False,
                    "left_rows": None,
                    "right_rows": None,
                    **{key: _plain(values[head]) for key, values in of_head.items()},
                    **dict.fromkeys(OF_FACTORS),
                    "singular_values": spectra[head].tolist(),
                }
            )
    return rows


def _of_factors(attention: AttentionHeads, name: str, biases: bool) -> list[Row]:
    shared, own = attention.product(name, biases)
    in_group = len(own) // len(shared)
    rank, width = own.shape[2], (attention.query if name == "key_query" else own).shape[1]
    turned = attention.rotary if name == "key_query" else None
    # They read Gram matrices alone, which the triangles of a QR decomposition share.
    left, right = triangle(shared), triangle(own)
    spectra = product_spectra(left, right)
    gap, balance = nuclear_gap(left, right), balancedness(left, right, turned)
    null = null_of(shared.shape[1], own.shape[1], rank)
    null_of_group = null_of(shared.shape[1], in_group * own.shape[1], rank)
    of_head = _of_spectra(spectra, width)
    of_group = {
        "null_nuclear_ratio": np.full(len(shared), null_of_group.nuclear_ratio),
        "nuclear_ratio": gap.ratio,
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
            "merged": False,
            "rotary": turned is not None,
            "query_key_norm": attention.query_key_norm and name == "key_query",
            "left_rows": shared.shape[1],
            "right_rows": own.shape[1],
            **{key: _plain(values[head]) for key, values in of_head.items()},
            "null_pseudo_rank": null.pseudo_rank,
            **{key: _plain(of_group[key][head // in_group]) for key in OF_FACTORS[1:]},
            "singular_values": spectra[head].tolist(),
        }
        for head in range(len(own))
    ]


def _of_spectra(spectra: np.ndarray, width: int) -> dict[str, np.ndarray]:
    """What the singular values alone say, `(heads,)` each."""
    ranks = pseudo_rank(spectra, width)
    return {
        "pseudo_rank": ranks.count,
        "pseudo_rank_of_rank": ranks.of_rank,
        "pseudo_rank_of_width": ranks.of_width,
        "entropy_rank": entropy_rank(spectra),
        "stable_rank": stable_rank(spectra),
        "nuclear_norm": spectra.sum(1),
    }


def _plain(value) -> int | float | None:
    """A Python number, for which JSON has a word."""
    number = value.item()
    return number if math.isfinite(number) else None
