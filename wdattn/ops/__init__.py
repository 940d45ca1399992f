"""Stateless tensor functions in `keras.ops`: the mathematics of the layers, without weights."""

from wdattn.ops.attention_factors import AttentionFactors, AttentionProducts
from wdattn.ops.gram_recursion import gram_recursion
from wdattn.ops.linear_attention import Chunked, linear_attention, linear_attention_scores
from wdattn.ops.moments import moments
from wdattn.ops.rotary_embedding import rotary_embedding

__all__ = [
    "AttentionFactors",
    "AttentionProducts",
    "Chunked",
    "gram_recursion",
    "linear_attention",
    "linear_attention_scores",
    "moments",
    "rotary_embedding",
]
