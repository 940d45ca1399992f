"""How far a model's outputs move with its weights, or with its inputs."""

import itertools
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from wdattn import arguments
from wdattn.diagnostics.checks import built_model, number_of_samples, outputs_of
from wdattn.diagnostics.objective import Derivatives, derivatives

# As many gradients at once as `Derivatives` takes rows of a Hessian.
_VECTORS = 32
_NUMBERS = 2**20
# Model -> shapes of the inputs -> derivatives with respect to a shift of them.
_SHIFTED: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class JacobianNorm:
    """Frobenius norms of each sample's Jacobian.

    Args:
        value: float >= 0, the mean of `norms`.
        root_mean_square: float >= 0, the root of the mean of their squares; times the root of the
            number of samples it is the Frobenius norm of all samples' Jacobians stacked.
        norms: `(samples,)` float64.
    """

    value: float
    root_mean_square: float
    norms: np.ndarray


@dataclass(frozen=True)
class JacobianNormEstimate:
    """An estimate of the Jacobian's norm from random probes.

    Args:
        root_mean_square: float >= 0, over the samples, of the Frobenius norms: the root of the mean
            of `squares`.
        standard_error: float >= 0, of `root_mean_square`, to first order.
        squares: `(probes,)` float64, each an unbiased estimate of the mean squared norm.
    """

    root_mean_square: float
    standard_error: float
    squares: np.ndarray


def jacobian_norm(model: keras.Model, x: Any, wrt: str = "weights") -> JacobianNorm:
    r"""The Frobenius norm of the Jacobian of the outputs, exact, for each sample.

    $$j(x) = \| \partial h(x) / \partial \theta \|_F, \qquad \frac1n \sum_i j(x_i)$$

    over all outputs (the logits of a model that ends in logits) and all trainable variables:
    d'Angelo et al. (2024), who report the mean of the norms. In inference mode (`training=False`:
    no dropout, moving batch statistics). Costs a gradient for each sample and output, or, with
    respect to the inputs, for each output.

    Args:
        model: a built Keras model; nothing in it changes.
        x: inputs the model takes: an array, or a list, tuple or dict of them; axis 0 is the
            samples, which the model treats one by one.
        wrt: "weights" for all trainable variables, "inputs" for all entries of `x`, which must then
            be floating.

    Returns:
        The norms; NaN or inf where a derivative is not finite.

    Raises:
        ValueError: if the model is not built or has no trainable variables, or `wrt` is neither.
    """
    wrt = arguments.choice("wrt", wrt, ("weights", "inputs"))
    samples, zero = _outputs(model, x)
    squares = np.zeros(samples)
    if wrt == "inputs":
        for direction in _directions(zero, samples):
            squares += _square_by_sample(_shifted(model, x).gradient(x, direction), x)
    else:
        each = np.fromiter(_squared_gradients(model, x, samples, zero), "float64")
        squares = each.reshape(samples, -1).sum(axis=1)
    norms = np.sqrt(squares)
    return JacobianNorm(float(norms.mean()), float(np.sqrt(squares.mean())), norms)


def jacobian_norm_estimate(
    model: keras.Model, x: Any, wrt: str = "weights", probes: int = 10, seed: int = 0
) -> JacobianNormEstimate:
    r"""The root of the mean squared Frobenius norm of the outputs' Jacobian, from random probes.

    $$\| J \|_F^2 = \mathbb{E}\, \| J^\top v \|_2^2, \qquad v_i = \pm 1$$

    J holds the Jacobians of all samples, one above the other, so that a probe costs one gradient of
    the batch, however many outputs there are. For large models and many outputs, where
    `jacobian_norm` costs too much; the mean of the norms cannot be had this way. In inference mode
    (`training=False`: no dropout, moving batch statistics).

    Args:
        model: a built Keras model; nothing in it changes.
        x: inputs the model takes: an array, or a list, tuple or dict of them; axis 0 is the
            samples.
        wrt: "weights" for all trainable variables, "inputs" for all entries of `x`, which must then
            be floating.
        probes: int >= 2. The error falls with its root.
        seed: int >= 0, of the probes.

    Returns:
        The estimate with its standard error; NaN or inf where a derivative is not finite.

    Raises:
        ValueError: if the model is not built or has no trainable variables, or an argument is not
            of this kind.
    """
    wrt = arguments.choice("wrt", wrt, ("weights", "inputs"))
    probes = arguments.integer("probes", probes, least=2)
    rng = np.random.default_rng(arguments.integer("seed", seed, least=0))
    samples, zero = _outputs(model, x)

    def square() -> float:
        probe = keras.tree.map_structure(
            lambda leaf: rng.choice([-1.0, 1.0], (samples, *leaf.shape[1:])), zero
        )
        of_inputs = wrt == "inputs"
        along = _shifted(model, x) if of_inputs else derivatives(model, _along, x, probe)
        return float(np.sum(along.gradient(x, probe) ** 2)) / samples

    squares = np.array([square() for _ in range(probes)])
    root = float(np.sqrt(squares.mean()))
    with np.errstate(divide="ignore", invalid="ignore"):  # of the constant 0 nothing is known
        error = squares.std(ddof=1) / probes**0.5 / (2 * root) if root else 0.0
    return JacobianNormEstimate(root, float(error), squares)


def _along(direction: Any, outputs: Any) -> Any:
    """The outputs along a direction: the gradient of this is the transposed Jacobian times it."""
    pairs = zip(keras.tree.flatten(direction), keras.tree.flatten(outputs), strict=True)
    return sum(ops.sum(ops.multiply(v, h)) for v, h in pairs)


def _outputs(model: keras.Model, x: Any) -> tuple[int, Any]:
    """The number of samples, and zeros shaped like the outputs of one."""
    built_model(model)
    samples = number_of_samples(x=x)
    one = keras.tree.map_structure(lambda leaf: ops.convert_to_tensor(np.asarray(leaf)[:1]), x)
    with keras.StatelessScope():
        outputs = outputs_of(model, one)
    return samples, keras.tree.map_structure(lambda leaf: np.zeros(leaf.shape), outputs)


def _directions(zero: Any, samples: int) -> Iterator[Any]:
    """One output after the other: 1 there for every sample, 0 elsewhere."""
    leaves = keras.tree.flatten(zero)
    for number, leaf in enumerate(leaves):
        for entry in np.ndindex(leaf.shape[1:]):
            direction = [np.zeros((samples, *other.shape[1:])) for other in leaves]
            direction[number][:, *entry] = 1.0
            yield keras.tree.pack_sequence_as(zero, direction)


def _squared_gradients(model: keras.Model, x: Any, samples: int, zero: Any) -> Iterator[float]:
    """The squared norm of the gradient of each sample's each output, the outputs innermost."""
    directions = list(_directions(zero, 1))
    ones = (
        keras.tree.map_structure(lambda leaf, i=sample: np.asarray(leaf)[i : i + 1], x)
        for sample in range(samples)
    )
    pairs = itertools.product(ones, directions)
    first = next(pairs)
    along = derivatives(model, _along, *first)
    size = min(samples * len(directions), _VECTORS, max(1, _NUMBERS // along.size))
    every = itertools.chain([first], pairs)
    while block := list(itertools.islice(every, size)):
        # Filled up, so that no second shape is compiled.
        full = block + block[-1:] * (size - len(block))
        yield from np.sum(along.gradients(full)[: len(block)] ** 2, axis=1)


def _shifted(model: keras.Model, x: Any) -> Derivatives:
    """The outputs along a direction as a function of what is added to the inputs; compiled once."""
    leaves = keras.tree.flatten(x)
    kinds = [keras.backend.standardize_dtype(np.asarray(leaf).dtype) for leaf in leaves]
    if not all(map(keras.backend.is_float_dtype, kinds)):
        raise ValueError(f'`x` must be floating for `wrt="inputs"`, got {kinds}')
    key = str(keras.tree.map_structure(np.shape, x))
    known = _SHIFTED.setdefault(model, {})
    if key not in known:
        floating = [v.dtype for v in model.weights if keras.backend.is_float_dtype(v.dtype)]
        dtype = floating[0] if floating else keras.config.floatx()
        shifts = [
            keras.Variable(np.zeros(np.shape(leaf)), dtype=dtype, name="shift") for leaf in leaves
        ]
        known[key] = Derivatives(_shift_function(weakref.proxy(model), shifts), shifts)
    return known[key]


def _shift_function(model: Any, shifts: list[keras.Variable]) -> Callable:
    def function(x, direction):
        flat = zip(keras.tree.flatten(x), shifts, strict=True)
        moved = keras.tree.pack_sequence_as(x, [ops.add(leaf, shift) for leaf, shift in flat])
        return _along(direction, model(moved, training=False))

    return function


def _square_by_sample(flat: np.ndarray, x: Any) -> np.ndarray:
    """A gradient with respect to the inputs, squared and summed over each sample."""
    shapes = [np.shape(leaf) for leaf in keras.tree.flatten(x)]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    parts = zip(np.split(flat, ends), shapes, strict=True)
    return sum(np.sum(part.reshape(shape[0], -1) ** 2, axis=1) for part, shape in parts)
