"""Stateless tensor functions in `keras.ops`: the mathematics of the layers, without weights."""

from wdattn.ops.gram_recursion import gram_recursion
from wdattn.ops.moments import moments

__all__ = ["gram_recursion", "moments"]
