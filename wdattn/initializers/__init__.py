"""Starts that depend on a seed and on the variable's path in the model, and on nothing else: drawn
with NumPy, so that one seed is one start on every backend, and no two variables share a draw.
"""

from wdattn.initializers.normal import Normal
from wdattn.initializers.uniform import Uniform

__all__ = ["Normal", "Uniform"]
