"""What a model's loss looks like at its weights: one quantity a file, plain NumPy records out.

Each works on any Keras model, changes nothing in it, and is measured in inference mode: no dropout,
moving batch statistics (`refresh_batch_statistics` sets these). What needs weights alone (spectra,
ranks, balance) is defined in `wdattn.spectra`.
"""

from wdattn.diagnostics.attention_layers import attention_layers, iterate_attention_layers
from wdattn.diagnostics.condition_number import ConditionNumber, condition_number
from wdattn.diagnostics.directional_smoothness import (
    DirectionalSmoothness,
    directional_smoothness,
)
from wdattn.diagnostics.effective_rate import EffectiveRate, effective_rate
from wdattn.diagnostics.explain_optimizer import OptimizerReport, explain_optimizer
from wdattn.diagnostics.generalized_smoothness import (
    GeneralizedSmoothness,
    generalized_smoothness,
)
from wdattn.diagnostics.gradient_noise import GradientNoise, gradient_noise, noise_statistics
from wdattn.diagnostics.gradient_norm import gradient_norm
from wdattn.diagnostics.group_norms import GroupNorms, gradient_norms, weight_norms
from wdattn.diagnostics.hessian_eigenvalues import HessianEigenvalues, hessian_eigenvalues
from wdattn.diagnostics.hessian_trace import HessianTrace, hessian_trace
from wdattn.diagnostics.jacobian_norm import (
    JacobianNorm,
    JacobianNormEstimate,
    jacobian_norm,
    jacobian_norm_estimate,
)
from wdattn.diagnostics.model_files import load_model
from wdattn.diagnostics.refresh_batch_statistics import refresh_batch_statistics
from wdattn.diagnostics.tails import hill_index, quantile_ratio
from wdattn.spectra import (
    balancedness,
    entropy_rank,
    gaussian_null,
    nuclear_gap,
    product_spectra,
    pseudo_rank,
    row_norm_correlation,
    stable_rank,
)

__all__ = [
    "ConditionNumber",
    "DirectionalSmoothness",
    "EffectiveRate",
    "GeneralizedSmoothness",
    "GradientNoise",
    "GroupNorms",
    "HessianEigenvalues",
    "HessianTrace",
    "JacobianNorm",
    "JacobianNormEstimate",
    "OptimizerReport",
    "attention_layers",
    "balancedness",
    "condition_number",
    "directional_smoothness",
    "effective_rate",
    "entropy_rank",
    "explain_optimizer",
    "gaussian_null",
    "generalized_smoothness",
    "gradient_noise",
    "gradient_norm",
    "gradient_norms",
    "hessian_eigenvalues",
    "hessian_trace",
    "hill_index",
    "iterate_attention_layers",
    "jacobian_norm",
    "jacobian_norm_estimate",
    "load_model",
    "noise_statistics",
    "nuclear_gap",
    "product_spectra",
    "pseudo_rank",
    "quantile_ratio",
    "refresh_batch_statistics",
    "row_norm_correlation",
    "stable_rank",
    "weight_norms",
]
