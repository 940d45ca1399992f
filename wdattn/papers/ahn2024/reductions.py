"""From a run of Ahn et al. (2024) to the number that a claim compares."""

import math

import numpy as np

from wdattn.reproduction.design.reductions import reads
from wdattn.reproduction.judge.statistics import least_squares_slope

MOST_SKIPPED = 0.01
"""A run that had to skip a larger share of its steps is no longer that optimizer's run."""


def usable(run):
    """Whether few enough steps were skipped because their gradient was not finite."""
    return run["skipped"][-1] <= MOST_SKIPPED * run.settings.steps


@reads("loss")
def end_loss_anyway(run):
    """Log of the median batch loss at the end: means explode, the loss is a polynomial."""
    return np.log(np.median(np.where(np.isfinite(run["loss"]), run["loss"], np.inf)))


@reads("loss", "skipped")
def end_loss(run):
    """The same, and NaN of a run that skipped too many steps."""
    return end_loss_anyway(run) if usable(run) else math.nan


@reads("condition")
def condition_anyway(run):
    """Mean log robust condition number over both times and both evaluation batches."""
    return np.log(run["condition"]).mean()


@reads("condition", "skipped")
def condition(run):
    """The same, and NaN of a run that skipped too many steps."""
    return condition_anyway(run) if usable(run) else math.nan


@reads("directional_smoothness")
def directional_smoothness(run):
    """Log of the median magnitude along the path."""
    return np.log(np.median(np.abs(run["directional_smoothness"])))


@reads("smoothness")
def smoothness_slope(run):
    """Least-squares slope of log spectral norm of the Hessian on log gradient norm."""
    gradient_norm, spectral_norm = run["smoothness"].T
    return least_squares_slope(np.log(gradient_norm), np.log(spectral_norm))


@reads("noise_tail")
def noise_tail(run):
    """Log of the noise norm's 99.9 % quantile over its median."""
    return np.log(run["noise_tail"][0, 0])


@reads("noise_tail")
def excess_tail(run):
    """The same, less that of Gaussian noise with the same covariance: 0 for Gaussian noise."""
    data, matched = run["noise_tail"][0, :2]
    return np.log(data / matched)
