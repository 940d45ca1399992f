"""What is measured in the runs of Ahn et al. (2024): a diagnostic a line."""

from functools import lru_cache

import numpy as np

from wdattn import diagnostics
from wdattn.papers.ahn2024.settings import Regression
from wdattn.papers.ahn2024.system import prompts, squared_error

EVALUATION_SEED = 99  # the authors'
# Streams that no training run uses, so that no measure sees a training batch.
EVALUATION_STREAMS = (1_000_001, 1_000_002)
NOISE_STREAM, REFERENCE_STREAM = 2_000_000, 3_000_000


def evaluation_loss(moment):
    """Mean squared error on the first fixed batch."""
    x, y = _evaluation(moment.settings, EVALUATION_STREAMS[0])
    return np.mean(np.square(moment.model().predict_on_batch(x) - y), dtype="float64")


def condition(moment):
    """Robust condition number on each of the fixed batches."""
    batches = [_evaluation(moment.settings, stream) for stream in EVALUATION_STREAMS]
    model = moment.model()
    return [diagnostics.condition_number(model, x, y, squared_error).value for x, y in batches]


def directional_smoothness(moment):
    """Second derivative of the loss on the first fixed batch, along the step that follows."""
    x, y = _evaluation(moment.settings, EVALUATION_STREAMS[0])
    model, step = moment.model(), moment.update()
    return diagnostics.directional_smoothness(model, x, y, step, squared_error).value


def smoothness(moment):
    """Gradient norm and spectral norm of the Hessian on the first fixed batch."""
    x, y = _evaluation(moment.settings, EVALUATION_STREAMS[0])
    found = diagnostics.generalized_smoothness(moment.model(), x, y, squared_error)
    return [found.gradient_norm, found.hessian_norm]


def noise(moment):
    """Norms of the gradient noise, and of a Gaussian with its covariance: `(2, batches)`."""
    found = _noise(moment)
    return [found.norms, found.matched_norms]


def noise_tail(moment):
    """Quantile ratio, that of the matched Gaussian, skewness, excess kurtosis and Hill index."""
    found = _noise(moment)
    return [
        found.quantile_ratio,
        found.matched_quantile_ratio,
        found.skewness,
        found.excess_kurtosis,
        found.hill_index,
    ]


@lru_cache(maxsize=1)  # two columns look at one set of gradients
def _noise(moment):
    settings = moment.settings
    own = settings.seed, NOISE_STREAM + settings.stream
    batches = (
        prompts(settings, settings.batch, *own, step) for step in range(settings.noise_batches)
    )
    reference = (
        prompts(settings, settings.batch, settings.seed, REFERENCE_STREAM, step)
        for step in range(settings.reference_factor)
    )
    return diagnostics.gradient_noise(
        moment.model(), batches, reference, squared_error, seed=settings.seed
    )


def _evaluation(settings, stream):
    """The fixed batch of that stream for this task, whatever the run's seed, rate or depth."""
    task = Regression(setting=settings.setting, context=settings.context, dim=settings.dim)
    return _evaluation_batch(task, settings.evaluation_prompts, stream)


@lru_cache(maxsize=16)
def _evaluation_batch(task, count, stream):
    return prompts(task, count, EVALUATION_SEED, stream)


MEASURES = {
    "evaluation_loss": evaluation_loss,
    "condition": condition,
    "directional_smoothness": directional_smoothness,
    "smoothness": smoothness,
    "noise": noise,
    "noise_tail": noise_tail,
}
