"""The loss of a Keras model as a function of data, and its derivatives, compiled once a model."""

import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from wdattn import autodiff
from wdattn.diagnostics.checks import built_model, number_of_samples, outputs_of, shapes

Loss = str | Callable[[Any, Any], Any] | None

# Vectors that one compiled call multiplies at most, and the numbers in them: what it works on
# should stay in the cache. On a linear transformer of 400 parameters and 1000 prompts 32 vectors
# took about half as long as 256 in single runs on a shared machine, and 8 longer on PyTorch.
_VECTORS = 32
_NUMBERS = 2**20
# Model -> loss -> derivatives. What is inside holds the model and the loss weakly, so that an entry
# lives as long as both of them do.
_COMPILED: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def objective(model: keras.Model, loss: Loss = None) -> tuple[Callable, list[keras.Variable]]:
    """The loss in inference mode (`training=False`: no dropout, moving batch statistics).

    Args:
        model: a built Keras model.
        loss: None for the loss that the model is compiled with, regularisers and `add_loss` terms
            included; or the name of a Keras loss, or a callable `loss(y_true, y_pred)` whose mean
            is taken, both without those terms.

    Returns:
        The pair `function(x, y) -> scalar tensor`, trainable variables.

    Raises:
        ValueError: if the model is not built, has no trainable variables or no loss.
    """
    built_model(model)
    if loss is None and not model.compiled:
        raise ValueError(
            f"`loss` is None and `model` {model.name!r} is not compiled: compile the model with a "
            "loss, or pass the name of a Keras loss or a callable loss(y_true, y_pred)"
        )
    if not (loss is None or callable(loss) or isinstance(loss, str)) or isinstance(loss, type):
        raise ValueError(
            f"`loss` must be None, the name of a Keras loss or a callable, got {loss!r}"
        )
    score = _named(loss) if isinstance(loss, str) else loss

    def function(x, y):
        if score is not None:
            outputs = outputs_of(model, x)
            return _mean(_scored(lambda: score(y, outputs), y, outputs))
        # A scope of its own, since Keras drops what layers hand to `add_loss` where none collects.
        state = [(variable, variable.value) for variable in model.variables]
        with keras.StatelessScope(state, collect_losses=True):
            outputs = outputs_of(model, x)
            compute = functools.partial(model.compute_loss, x=x, y=y, y_pred=outputs)
            return _scored(lambda: compute(training=False), y, outputs)

    return function, model.trainable_variables


def _scored(score: Callable[[], Any], y: Any, outputs: Any) -> Any:
    """The loss's value; an error names `y` and `loss`."""
    try:
        value = score()
    except Exception as error:
        raise ValueError(
            f"`y` must be targets that `loss` takes, got the shapes {shapes(y)} for outputs of "
            f"the shapes {shapes(outputs)}: {error}"
        ) from error
    if not ops.is_tensor(value):
        raise ValueError(f"`loss` must return a tensor, got {value!r}")
    return value


def _mean(values: Any) -> Any:
    """The mean in float64 of float64: Keras's takes it in float32 on JAX and PyTorch."""
    double = keras.backend.standardize_dtype(values.dtype) == "float64"
    total = ops.sum(ops.cast(values, "float64" if double else "float32"))
    return total / ops.cast(ops.size(values), total.dtype)


class Derivatives:
    """Gradients and Hessian-vector products of a loss as flat float64 arrays.

    The flat order is that of the variables, each raveled; they are computed in the variables' own
    precision.
    """

    def __init__(self, function: Callable, variables: list[keras.Variable]):
        self.variables = variables
        self.size = sum(int(np.prod(variable.shape)) for variable in variables)
        self._gradient = autodiff.value_and_grad(function, variables)
        self._product = autodiff.hvp(function, variables)
        self._products = _mapped(self._product, (0, None, None))
        self._gradients = _mapped(self._gradient, (0, 0))

    def gradient(self, x: Any, y: Any) -> np.ndarray:
        """The gradient of one batch, `(size,)`."""
        return self._flat(self._gradient(*self.tensors(x, y))[1])

    def gradients(self, batches: Sequence[tuple[Any, Any]]) -> np.ndarray:
        """The gradients of batches of one shape, `(batches, size)`, in one call."""
        stacked = keras.tree.map_structure(lambda *leaves: np.stack(leaves), *batches)
        return self._flat(self._gradients(*self.tensors(*stacked))[1], len(batches))

    def product(self, vector: np.ndarray, x: Any, y: Any) -> np.ndarray:
        """The Hessian times one vector, `(size,)`."""
        return self._flat(self._product(self._lists(vector), *self.tensors(x, y)))

    def rows(self, x: Any, y: Any) -> Iterator[tuple[int, np.ndarray]]:
        """The Hessian's rows in blocks: the first one's number, and `(block, size)`."""
        data = self.tensors(x, y)
        block = min(self.size, _VECTORS, max(1, _NUMBERS // self.size))
        for first in range(0, self.size, block):
            # The last block reaches past the end, so that no second shape is compiled.
            basis = np.eye(block, self.size, first)
            rows = self._flat(self._products(self._lists(basis), *data), block)
            yield first, rows[: self.size - first]

    def tensors(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Floating data in the variables' precision, whole numbers as they are.

        Each array of `x` and of `y` holds the same number of samples along axis 0, as for `fit`: a
        loss would repeat one target for all samples without a word.
        """
        number_of_samples(x=x, y=y)

        def tensor(leaf):
            leaf = ops.convert_to_tensor(leaf)
            floating = keras.backend.is_float_dtype(keras.backend.standardize_dtype(leaf.dtype))
            return ops.cast(leaf, self.variables[0].dtype) if floating else leaf

        return keras.tree.map_structure(tensor, (x, y))

    def _lists(self, vectors: np.ndarray) -> list[Any]:
        """`(..., size)` as a list of tensors shaped like the variables."""
        ends = np.cumsum([int(np.prod(variable.shape)) for variable in self.variables])
        return [
            ops.convert_to_tensor(part.reshape(*part.shape[:-1], *variable.shape), variable.dtype)
            for part, variable in zip(np.split(vectors, ends[:-1], -1), self.variables, strict=True)
        ]

    def _flat(self, tensors: list[Any], *leading: int) -> np.ndarray:
        """A list of tensors shaped like the variables as `(*leading, size)`."""
        arrays = [ops.convert_to_numpy(tensor).astype("float64") for tensor in tensors]
        return np.concatenate([array.reshape(*leading, -1) for array in arrays], -1)


def derivatives(model: keras.Model, loss: Loss, x: Any, y: Any) -> Derivatives:
    """The compiled derivatives of a model's loss, made once.

    They are found again while the model and the loss live, and made anew when the model is compiled
    again or other variables are trainable.

    Args:
        model: as `objective`.
        loss: as `objective`. The same object each time: a new lambda is compiled anew.
        x: inputs the model takes: an array, or a list, tuple or dict of them.
        y: targets the loss takes.

    Returns:
        The derivatives.

    Raises:
        ValueError: as `objective`.
    """
    _, variables = objective(model, loss)
    key = _named(loss) if isinstance(loss, str) else loss
    if loss is None:
        # `compile` makes a new one each time; a model whose `compute_loss` is its own has none.
        key = getattr(model, "_compile_loss", None) or type(model)
    by_loss = _COMPILED.setdefault(model, weakref.WeakKeyDictionary())
    compiled = by_loss.get(key)
    if compiled is None or list(map(id, compiled.variables)) != list(map(id, variables)):
        weak_loss = loss if loss is None else weakref.proxy(key)
        function, variables = objective(weakref.proxy(model), weak_loss)
        compiled = Derivatives(function, variables)
        if loss is None:
            # Keras builds the compiled loss, with its metrics, when it is first called: not in a
            # trace, whose tensors the metrics would keep.
            with keras.StatelessScope():
                function(*compiled.tensors(x, y))
        by_loss[key] = compiled
    return compiled


def _mapped(function: Callable, in_axes: tuple[int | None, ...]) -> Callable:
    """A function for stacked arguments, those of axis 0: vectorised, or one by one if it must.

    A few layers cannot be vectorised: on TensorFlow the second derivative of a recurrent one.
    """
    vectorised = autodiff.jit(autodiff.vmap(function, in_axes))
    refused = False

    def one_by_one(*args):
        stacked = [arg for arg, axis in zip(args, in_axes, strict=True) if axis == 0]
        results = []
        for place in range(len(keras.tree.flatten(stacked)[0])):
            one = [
                keras.tree.map_structure(lambda leaf, place=place: leaf[place], arg)
                if axis == 0
                else arg
                for arg, axis in zip(args, in_axes, strict=True)
            ]
            results.append(function(*one))
        return keras.tree.map_structure(lambda *leaves: ops.stack(leaves), *results)

    def mapped(*args):
        nonlocal refused
        if refused:
            return one_by_one(*args)
        try:
            return vectorised(*args)
        except (RuntimeError, ValueError):
            results = one_by_one(*args)  # raises again what is a fault of the model or the data
            refused = True
            return results

    return mapped


@functools.cache
def _named(name: str) -> Callable:
    try:
        return keras.losses.get(name)
    except ValueError:
        raise ValueError(f"`loss` must be a name that keras.losses knows, got {name!r}") from None
