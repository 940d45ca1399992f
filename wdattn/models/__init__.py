"""Keras models of the papers, for `compile` and `fit`. Their variables' paths are public names."""

from wdattn.models.linear_transformer import LinearTransformer

__all__ = ["LinearTransformer"]
