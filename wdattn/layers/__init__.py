"""Keras layers: a layer owns weights and shapes, its mathematics is in `wdattn.ops`."""

from wdattn.layers.feed_forward import FeedForward
from wdattn.layers.layer_normalization import LayerNormalization
from wdattn.layers.linear_attention import LinearAttention
from wdattn.layers.linear_self_attention import LinearSelfAttention
from wdattn.layers.multi_head_attention import MultiHeadAttention
from wdattn.layers.patch_embedding import PatchEmbedding
from wdattn.layers.position_embedding import PositionEmbedding
from wdattn.layers.query_key_normalization import QueryKeyNormalization
from wdattn.layers.rms_normalization import RMSNormalization
from wdattn.layers.rotary_embedding import RotaryEmbedding
from wdattn.layers.transformer_block import TransformerBlock

__all__ = [
    "FeedForward",
    "LayerNormalization",
    "LinearAttention",
    "LinearSelfAttention",
    "MultiHeadAttention",
    "PatchEmbedding",
    "PositionEmbedding",
    "QueryKeyNormalization",
    "RMSNormalization",
    "RotaryEmbedding",
    "TransformerBlock",
]
