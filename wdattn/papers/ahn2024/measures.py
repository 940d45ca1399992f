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
GAUSSIAN = 4_000_000  # apart from the seed of the matched Gaussian


def evaluation_loss(snapshot):
    """Mean squared error on the first fixed batch."""
    x, y = _evaluation(snapshot.settings, EVALUATION_STREAMS[0])
    return np.mean(np.square(snapshot.model().predict_on_batch(x) - y), dtype="float64")


def condition(snapshot):
    """Robust condition number on each of the fixed batches."""
    batches = [_evaluation(snapshot.settings, stream) for stream in EVALUATION_STREAMS]
    model = snapshot.model()
    return [diagnostics.condition_number(model, x, y, squared_error).value for x, y in batches]


def condition_path(snapshot):
    """Robust condition number on the first of them alone."""
    x, y = _evaluation(snapshot.settings, EVALUATION_STREAMS[0])
    return diagnostics.condition_number(snapshot.model(), x, y, squared_error).value


def directional_smoothness(snapshot):
    """Second derivative of the loss on the first fixed batch, along the step that follows."""
    x, y = _evaluation(snapshot.settings, EVALUATION_STREAMS[0])
    step = snapshot.update()
    if not any(map(np.any, step)):  # skipped: it has no direction
        return np.nan
    return diagnostics.directional_smoothness(snapshot.model(), x, y, step, squared_error).value


def smoothness(snapshot):
    """Gradient norm and spectral norm of the Hessian on the first fixed batch."""
    x, y = _evaluation(snapshot.settings, EVALUATION_STREAMS[0])
    norms = diagnostics.generalized_smoothness(snapshot.model(), x, y, squared_error)
    return [norms.gradient_norm, norms.hessian_norm]


def smoothness_path(snapshot):
    """Gradient norm on the first fixed batch, and the curvature along the step that follows."""
    x, y = _evaluation(snapshot.settings, EVALUATION_STREAMS[0])
    length = diagnostics.gradient_norm(snapshot.model(), x, y, squared_error)
    return [length, directional_smoothness(snapshot)]


def noise(snapshot):
    """Norms of the gradient noise, and of a Gaussian with its covariance: `(2, batches)`.

    Rounded to float32, the precision of the gradients: half the bytes of a record.
    """
    statistics = _noise(snapshot)
    return np.float32([statistics.norms, statistics.matched_norms])


def noise_tail(snapshot):
    """Quantile ratio, that of the matched Gaussian, skewness, excess kurtosis and Hill index."""
    statistics = _noise(snapshot)
    return [
        statistics.quantile_ratio,
        statistics.matched_quantile_ratio,
        statistics.skewness,
        statistics.excess_kurtosis,
        statistics.hill_index,
    ]


@lru_cache(maxsize=1)  # two columns look at one set of gradients
def _noise(snapshot):
    settings = snapshot.settings
    own = settings.seed, NOISE_STREAM + settings.stream
    batches = (
        prompts(settings, settings.batch, *own, step) for step in range(settings.noise_batches)
    )
    reference = (
        prompts(settings, settings.batch, settings.seed, REFERENCE_STREAM, step)
        for step in range(settings.reference_factor)
    )
    statistics = diagnostics.gradient_noise(
        snapshot.model(), batches, reference, squared_error, seed=settings.seed
    )
    if not settings.gaussian:
        return statistics
    # Noise that is Gaussian by construction, with these eigenvalues along the axes; the matched
    # Gaussian is then drawn for its sample covariance, with another seed.
    draws = np.random.default_rng([settings.seed, settings.stream, GAUSSIAN])
    own = statistics.eigenvalues
    vectors = draws.standard_normal((len(statistics.norms), len(own)))
    return diagnostics.noise_statistics(vectors * np.sqrt(own), seed=settings.seed)


def _evaluation(settings, stream):
    """The fixed batch of that stream for this task, whatever the run's seed, rate or depth."""
    task = Regression(covariates=settings.covariates, context=settings.context, dim=settings.dim)
    # In the model's dtype: what Keras compiles on JAX does not cast it to float64.
    dtype = "float64" if settings.precision == "float64" else "float32"
    return _evaluation_batch(task, settings.evaluation_prompts, stream, dtype)


@lru_cache(maxsize=16)
def _evaluation_batch(task, count, stream, dtype):
    return [array.astype(dtype) for array in prompts(task, count, EVALUATION_SEED, stream)]


MEASURES = {
    "evaluation_loss": evaluation_loss,
    "condition": condition,
    "condition_path": condition_path,
    "directional_smoothness": directional_smoothness,
    "smoothness": smoothness,
    "smoothness_path": smoothness_path,
    "noise": noise,
    "noise_tail": noise_tail,
}
