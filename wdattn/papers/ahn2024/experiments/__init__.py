"""The experiments of Ahn et al. (2024), and the arms that claims and figures name."""

from wdattn.papers.ahn2024.experiments.arms import (
    ADAM,
    FEWER,
    GAMMA,
    LINEAR_ATTENTION,
    SGDM,
    SOFTMAX_ATTENTION,
    SPHERE,
)
from wdattn.papers.ahn2024.experiments.noise import DEPTH_NOISE, LARGE_NOISE, NETWORK_NOISE, NOISE
from wdattn.papers.ahn2024.experiments.training import (
    BASE,
    DEPTH,
    FEWER_CONTEXTS,
    LARGE,
    NETWORK,
    SOFTMAX,
)

__all__ = [
    "ADAM",
    "BASE",
    "DEPTH",
    "DEPTH_NOISE",
    "FEWER",
    "FEWER_CONTEXTS",
    "GAMMA",
    "LARGE",
    "LARGE_NOISE",
    "LINEAR_ATTENTION",
    "NETWORK",
    "NETWORK_NOISE",
    "NOISE",
    "SGDM",
    "SOFTMAX",
    "SOFTMAX_ATTENTION",
    "SPHERE",
]
