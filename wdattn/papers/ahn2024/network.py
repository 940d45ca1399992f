"""The nonlinear task of Ahn et al. (2024), Appendix B: a random network, and the model for it."""

from functools import lru_cache

import keras
import numpy as np

from wdattn.initializers import Uniform
from wdattn.models import LinearTransformer

DIM, TEACHER_WIDTH, STUDENT_WIDTH, DEPTH = 5, 10, 30, 3
TEACHER_SEED = 7  # the authors'
STDDEV = 0.1  # of the attention's entries at the start


def teacher(x):
    """The features that the labels are linear in: a network 5 to 10 (ReLU) to 5, with biases.

    Drawn once and frozen; weights and biases are uniform between +-1 / sqrt(fan_in). The bits are
    the same on every backend and processor.

    Args:
        x: `(..., 5)` NumPy array, float32 or float64.

    Returns:
        `(..., 5)`, of the dtype of x.

    Raises:
        ValueError: if `x` is not of this kind.
    """
    if x.dtype.kind != "f" or x.shape[-1:] != (DIM,):
        raise ValueError(f"`x` must be a float array (..., {DIM}), got {x.dtype} {x.shape}")
    hidden, out = _teacher_weights(x.dtype)
    units = np.maximum(_dense(x.reshape(-1, DIM).T, *hidden), 0)
    return np.ascontiguousarray(_dense(units, *out).T).reshape(x.shape)


def student(seed):
    """A network on every token's covariates, 5 to 30 (ReLU) to 5, then a linear transformer.

    The query's covariates pass through the network too, the labels past it. 551 parameters, of
    which the three attention layers with all entries of P and Q have 216. These start as
    N(0, 0.1^2), the network's weights and biases uniform between +-1 / sqrt(fan_in).

    Args:
        seed: int in [0, 2^32), or None: fresh weights every time. The start depends on the seed
            alone, not on the backend.

    Returns:
        A built `keras.Model` from prompts `(batch, n + 1, 6)` to the predictions of the query's
        label `(batch, 1)`.

    Raises:
        ValueError: if `seed` is not of this kind.
    """
    prompts = keras.Input((None, DIM + 1), name="prompts")
    hidden = _dense_layer("hidden", DIM, STUDENT_WIDTH, seed, activation="relu")
    features = _dense_layer("features", STUDENT_WIDTH, DIM, seed)(hidden(prompts[..., :-1]))
    tokens = keras.layers.Concatenate(name="tokens")([features, prompts[..., -1:]])
    transformer = LinearTransformer(DEPTH, DIM, "full", STDDEV, seed, name="transformer")
    return keras.Model(prompts, transformer(tokens), name="student")


@lru_cache
def _teacher_weights(dtype):
    """Kernel and bias of both layers, fan_in rows a kernel."""
    generator = np.random.default_rng(TEACHER_SEED)

    def layer(fan_in, units):
        limit = fan_in**-0.5
        shapes = (fan_in, units), (units,)
        return [generator.uniform(-limit, limit, shape).astype(dtype) for shape in shapes]

    return layer(DIM, TEACHER_WIDTH), layer(TEACHER_WIDTH, DIM)


def _dense(rows, kernel, bias):
    """A layer on `(fan_in, tokens)`, to `(units, tokens)`."""
    # One product and one sum at a time: no bit depends on the processor, as BLAS's would.
    return sum((row * w[:, None] for row, w in zip(rows, kernel, strict=True)), bias[:, None])


def _dense_layer(name, fan_in, units, seed, **kwargs):
    uniform = Uniform(fan_in**-0.5, seed).at(name)
    return keras.layers.Dense(
        units,
        kernel_initializer=uniform.at("kernel"),
        bias_initializer=uniform.at("bias"),
        name=name,
        **kwargs,
    )
