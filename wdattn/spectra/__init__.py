"""What the two products of an attention head look like: spectra, ranks and balance.

Weights in, NumPy out, float64 throughout; Keras is not loaded, so that a checkpoint of many
gigabytes can be looked at layer by layer: `wdattn.weights` reads it, and
`wdattn.diagnostics.attention_layers` reads the same records from a Keras model.
"""

from wdattn.spectra.attention_heads import AttentionHeads, MergedHeads
from wdattn.spectra.balance import (
    Balancedness,
    NuclearGap,
    balancedness,
    nuclear_gap,
    row_norm_correlation,
)
from wdattn.spectra.gaussian_null import GaussianNull, gaussian_null
from wdattn.spectra.head_rows import head_rows
from wdattn.spectra.hugging_face import hugging_face_layers
from wdattn.spectra.listing import as_csv, as_json, panels, rows_of
from wdattn.spectra.product_spectra import product_spectra
from wdattn.spectra.ranks import PseudoRank, entropy_rank, pseudo_rank, stable_rank
from wdattn.spectra.table import SpectraTable

__all__ = [
    "AttentionHeads",
    "Balancedness",
    "GaussianNull",
    "MergedHeads",
    "NuclearGap",
    "PseudoRank",
    "SpectraTable",
    "as_csv",
    "as_json",
    "balancedness",
    "entropy_rank",
    "gaussian_null",
    "head_rows",
    "hugging_face_layers",
    "nuclear_gap",
    "panels",
    "product_spectra",
    "pseudo_rank",
    "row_norm_correlation",
    "rows_of",
    "stable_rank",
]
