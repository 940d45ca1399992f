"""Prompts of random linear regression tasks, the data of Ahn et al. (2024)."""

import numpy as np

from wdattn import arguments

DOMAIN = 0xDA7A  # keeps these draws apart from those of other modules at the same seed
LARGEST = 2**32 - 1


def in_context_regression(
    batch_size,
    *,
    setting="normal",
    dim=5,
    context=20,
    seed=0,
    stream=0,
    step=0,
    features=None,
):
    r"""A batch of prompts, each with a linear task of its own: `y = <w, x>` with `w ~ N(0, I)`.

    Ahn et al. (2024), Section 2 and Table 1. A prompt has one token (row) for each example, the
    covariates and then the label; the last token is the query, with 0 in place of its label.
    No label noise. All tokens of a prompt, the query too, are independent draws of x:

    - `"normal"`, Settings 1 and 2: `x ~ N(0, I)`;
    - `"gamma"`, Setting 3, heavy-tailed: `x = sqrt(Gamma(shape 0.1, scale 10)) u`;
    - `"sphere"`, Section 4.1: `x = u`,

    with `u` uniform on the unit sphere. At `dim` 5 the mean of `|x|^2` is 5, 1 and 1, and its
    variance 10, 10 and 0.

    With `features`, a map g of single covariates, the labels are `y = <w, g(x)>`: linear in
    features that the prompt does not show (Appendix B). The tokens hold x, and the draws are those
    without it.

    The batch is a pure function of the arguments, the same on every backend: there is no generator
    to save. Batches that differ in `seed`, `stream` or `step` are independent. 256 prompts of
    Setting 1 take about half a millisecond.

    Args:
        batch_size: int in [1, 2^32). Prompts in the batch.
        setting: "normal", "gamma" or "sphere": the law of the covariates.
        dim: int in [1, 2^32). Covariates of a token.
        context: int in [1, 2^32). Tokens before the query.
        seed: int in [0, 2^32). The run.
        stream: int in [0, 2^32). Another series of batches at the same seed.
        step: int in [0, 2^32). The batch of the series.
        features: None: x itself. Or a callable on NumPy arrays that returns one of the same shape:
            g of the covariates `(batch_size, context + 1, dim)`, float32, of all tokens at once.

    Returns:
        `(prompts, labels)`, NumPy float32: `(batch_size, context + 1, dim + 1)` and
        `(batch_size, 1)`, the query's true label.

    Raises:
        ValueError: if an argument is not of this kind, or `features` returns another shape.

    Examples:
        >>> prompts, labels = in_context_regression(8, dim=5, context=20, seed=0, step=3)
        >>> prompts.shape, labels.shape, float(abs(prompts[:, -1, -1]).max())
        ((8, 21, 6), (8, 1), 0.0)
    """
    batch_size, dim, context = (
        arguments.integer(name, value, most=LARGEST)
        for name, value in (("batch_size", batch_size), ("dim", dim), ("context", context))
    )
    # Each of them is one word of the seed: no two triples run together.
    words = [
        arguments.integer(name, value, least=0, most=LARGEST)
        for name, value in (("seed", seed), ("stream", stream), ("step", step))
    ]
    setting = arguments.choice("setting", setting, COVARIATES)
    features = arguments.function_or_none("features", features)

    # SFC64 is the fastest of NumPy's generators here, and float64 as fast as float32.
    generator = np.random.Generator(np.random.SFC64(np.random.SeedSequence([DOMAIN, *words])))
    task = generator.standard_normal((batch_size, dim)).astype("float32")
    x = COVARIATES[setting](generator, (batch_size, context + 1, dim)).astype("float32")

    regressors = x if features is None else _features(features, x)
    # One product and one sum at a time: these bits do not depend on the processor, as BLAS's would.
    y = sum(regressors[..., i] * task[:, i, None] for i in range(dim))
    labels = y[:, -1:].copy()
    y[:, -1] = 0
    return np.concatenate([x, y[..., None]], axis=-1), labels


def _features(function, x):
    regressors = np.asarray(function(x), "float32")
    if regressors.shape != x.shape:
        raise ValueError(f"`features` must return the shape {x.shape} of the covariates, got "
                         f"{regressors.shape}")  # fmt: skip
    return regressors


def _normal(generator, shape):
    return generator.standard_normal(shape)


def _sphere(generator, shape):
    x = generator.standard_normal(shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _gamma(generator, shape):
    # In float64: at shape 0.1 one draw in 6000 is below the least float32.
    squared_radius = generator.gamma(0.1, 10.0, (*shape[:-1], 1))
    return np.sqrt(squared_radius) * _sphere(generator, shape)


COVARIATES = {"normal": _normal, "gamma": _gamma, "sphere": _sphere}
