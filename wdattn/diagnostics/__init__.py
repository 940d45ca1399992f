"""What a model's loss looks like at its weights: one quantity a file, plain NumPy records out.

Each works on any Keras model, changes nothing in it, and is measured in inference mode: no dropout,
moving batch statistics.
"""

from wdattn.diagnostics.condition_number import ConditionNumber, condition_number
from wdattn.diagnostics.directional_smoothness import (
    DirectionalSmoothness,
    directional_smoothness,
)
from wdattn.diagnostics.generalized_smoothness import (
    GeneralizedSmoothness,
    generalized_smoothness,
)
from wdattn.diagnostics.gradient_noise import GradientNoise, gradient_noise, noise_statistics
from wdattn.diagnostics.gradient_norm import gradient_norm
from wdattn.diagnostics.tails import hill_index, quantile_ratio

__all__ = [
    "ConditionNumber",
    "DirectionalSmoothness",
    "GeneralizedSmoothness",
    "GradientNoise",
    "condition_number",
    "directional_smoothness",
    "generalized_smoothness",
    "gradient_noise",
    "gradient_norm",
    "hill_index",
    "noise_statistics",
    "quantile_ratio",
]
