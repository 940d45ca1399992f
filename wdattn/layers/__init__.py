"""Keras layers: a layer owns weights and shapes, its mathematics is in `wdattn.ops`."""

from wdattn.layers.linear_self_attention import LinearSelfAttention

__all__ = ["LinearSelfAttention"]
