"""How far the gradients of batches lie from the full one, and how heavy the tail of that is."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import keras
import numpy as np

from wdattn import arguments
from wdattn.diagnostics import tails
from wdattn.diagnostics.objective import Loss, derivatives, objective

Batch = tuple[Any, Any]

_AT_ONCE = 8  # batches in one call: its overhead is most of the cost of a small one


@dataclass(frozen=True)
class GradientNoise:
    """Norms of gradient noise, their tail, and the same of the matched Gaussian.

    The norm of a Gaussian vector has a tail of its own, the longer the fewer directions carry the
    noise. The matched Gaussian has the noise's covariance and as many draws, and says which part of
    the tail that is.

    Args:
        norms: `(batches,)` float64, Euclidean, in the order of the batches.
        matched_norms: `(batches,)` float64.
        eigenvalues: of the noise's covariance, largest first, float64, as many as the smaller of
            the numbers of batches and of parameters.
        quantile_ratio: the 0.999 quantile of `norms` over their median.
        matched_quantile_ratio: of `matched_norms`, as all the `matched_` fields.
        skewness: third standardised moment, 0 for a symmetric law.
        matched_skewness: see above.
        excess_kurtosis: fourth standardised moment less 3, 0 for a Gaussian.
        matched_excess_kurtosis: see above.
        hill_index: Hill's estimate of the tail exponent from the top 1 %; smaller is heavier.
        matched_hill_index: see above.
    """

    norms: np.ndarray
    matched_norms: np.ndarray
    eigenvalues: np.ndarray
    quantile_ratio: float
    matched_quantile_ratio: float
    skewness: float
    matched_skewness: float
    excess_kurtosis: float
    matched_excess_kurtosis: float
    hill_index: float
    matched_hill_index: float

    @property
    def log_ratio(self) -> float:
        """`log(quantile_ratio / matched_quantile_ratio)`: about 0 if the noise is Gaussian."""
        return float(np.log(self.quantile_ratio / self.matched_quantile_ratio))


def gradient_noise(
    model: keras.Model,
    batches: Iterable[Batch],
    reference: Batch | Iterable[Batch],
    loss: Loss = None,
    seed: int = 0,
) -> GradientNoise:
    r"""The noise of batch gradients at the model's weights.

    $$e_j = \| \nabla f_{B_j}(\theta) - \nabla f_{\mathrm{ref}}(\theta) \|_2$$

    without clipping, in inference mode (`training=False`: no dropout, moving batch statistics).
    Ahn et al. (2024) draw a histogram of these norms; the statistics of their tail and the matched
    Gaussian are ours. The noise vectors are held in memory, 8 bytes for each batch and parameter.

    Args:
        model: a built Keras model; nothing in it changes.
        batches: at least two pairs `(x, y)` of one shape; read once, so a generator will do. The
            norms shrink with the batch size, and their tail gets lighter: compare at equal size.
        reference: one large batch as a tuple `(x, y)`, or another iterable of such pairs of one
            shape, whose gradients are averaged. Its own error adds to each norm: the paper takes
            100 times a batch.
        loss: None for the model's compiled loss, the name of a Keras loss, or a callable
            `loss(y_true, y_pred)`, the same object each time, or it is compiled anew.
        seed: int >= 0, of the matched Gaussian's draws.

    Returns:
        The norms and their statistics; NaN where a gradient is not finite.

    Raises:
        ValueError: if the model has no loss, batches differ in shape, there are too few, or an
            argument is not of this kind.
    """
    seed = arguments.integer("seed", seed, least=0)
    objective(model, loss)  # raises at once what a thread would raise later
    # A list of batches may have two members; only a tuple is taken for one pair.
    references = [reference] if isinstance(reference, tuple) else reference
    centre = _gradients("reference", model, references, loss, least=1).mean(0)
    return noise_statistics(_gradients("batches", model, batches, loss, least=2) - centre, seed)


def noise_statistics(noise: np.ndarray, seed: int = 0) -> GradientNoise:
    """The statistics of `gradient_noise` for noise vectors that are already there.

    Args:
        noise: `(batches, parameters)` float, at least two rows: each a gradient less its mean.
        seed: int >= 0, of the matched Gaussian's draws.

    Returns:
        The norms and their statistics; NaN where a vector is not finite.

    Raises:
        ValueError: if `noise` is not a matrix of at least two rows, or `seed` is not of this kind.

    Examples:
        >>> noise_statistics([[3.0, 4.0], [-3.0, -4.0]]).norms.tolist()
        [5.0, 5.0]
    """
    noise = arguments.array("noise", noise, "batches", "parameters")
    seed = arguments.integer("seed", seed, least=0)
    if len(noise) < 2:
        raise ValueError(f"`noise` must have two batches or more, got the shape {noise.shape}")
    norms = np.linalg.norm(noise, axis=1)
    eigenvalues = tails.covariance_eigenvalues(noise)
    matched = tails.gaussian_norms(eigenvalues, len(noise), seed)
    return GradientNoise(
        norms=norms,
        matched_norms=matched,
        eigenvalues=eigenvalues,
        quantile_ratio=tails.quantile_ratio(norms),
        matched_quantile_ratio=tails.quantile_ratio(matched),
        skewness=tails.standardised_moment(norms, 3),
        matched_skewness=tails.standardised_moment(matched, 3),
        excess_kurtosis=tails.standardised_moment(norms, 4) - 3,
        matched_excess_kurtosis=tails.standardised_moment(matched, 4) - 3,
        hill_index=tails.hill_index(norms),
        matched_hill_index=tails.hill_index(matched),
    )


def _gradients(
    name: str, model: keras.Model, batches: Iterable[Batch], loss: Loss, least: int
) -> np.ndarray:
    """The gradient of each batch, `(batches, parameters)`; the next ones are drawn meanwhile."""
    if not isinstance(batches, Iterable) or isinstance(batches, str | bytes | Mapping | np.ndarray):
        raise ValueError(f"`{name}` must be an iterable of pairs (x, y), got {batches!r}")
    checked = _alike(name, batches)
    of_loss, gradients = None, list[np.ndarray]()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(_chunk, checked)
        while chunk := coming.result():
            coming = pool.submit(_chunk, checked)
            of_loss = of_loss or derivatives(model, loss, *chunk[0])
            # Filled up at the end, so that no second shape is compiled.
            full = chunk + [chunk[-1]] * (_AT_ONCE - len(chunk)) if gradients else chunk
            gradients.append(of_loss.gradients(full)[: len(chunk)])
    count = sum(map(len, gradients))
    if count < least:
        raise ValueError(f"`{name}` must hold at least {least} pairs (x, y), got {count}")
    return np.concatenate(gradients)


def _chunk(batches: Iterator[Batch]) -> list[Batch]:
    return list(islice(batches, _AT_ONCE))


def _alike(name: str, batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches, each checked to be a pair that is shaped like the first."""
    expected = None
    for number, batch in enumerate(batches):
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise ValueError(
                f"`{name}` must hold pairs (x, y), got {type(batch)} as number {number}"
            )
        shapes = keras.tree.map_structure(np.shape, tuple(batch))
        expected = expected or shapes
        if shapes != expected:
            raise ValueError(
                f"`{name}` must hold batches of one shape, the first is {expected}, "
                f"number {number} is {shapes}"
            )
        yield tuple(batch)
