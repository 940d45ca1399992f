"""Derivatives with respect to Keras variables, compiled, the same on every backend.

Each function takes a Python function of data and a list of Keras variables, and returns a compiled
function. Batches are its arguments: a batch shaped like the last one is not traced again, a new
closure for each batch would be. Variables that are read but not listed are read at each call.

Measuring changes nothing: what a layer assigns while it runs (batch statistics, seeds) is dropped,
so that two calls at the same weights give the same number, dropout included. Second derivatives
through stock Keras layers are right, or raise. Derivatives nest.
"""

import keras

from wdattn import arguments, backend

__all__ = ["hvp", "jit", "jvp", "value_and_grad", "vjp", "vmap"]


def value_and_grad(loss, variables):
    """A function that returns the loss and its gradient.

    Args:
        loss: callable `loss(*data)` that returns a scalar tensor.
        variables: list of floating Keras variables, each one once.

    Returns:
        `f(*data) -> (value, gradients)`; `gradients` is a list of tensors shaped like the
        variables, 0 where the loss does not read one.

    Raises:
        ValueError: if an argument is not of this kind; on the first call if the loss is no scalar.

    Examples:
        >>> import keras
        >>> x = keras.Variable(3.0)
        >>> value, (slope,) = value_and_grad(lambda scale: scale * x**2, [x])(2.0)
        >>> float(value), float(slope)
        (18.0, 12.0)
    """
    pure = _scalar(_pure(arguments.function("loss", loss), _distinct(variables)))
    derivative = backend.value_and_grad(pure)
    compiled = backend.jit(lambda *data: derivative(_values(variables), *data))
    return lambda *data: compiled(*_tensors(data))


def hvp(loss, variables):
    """A function that returns the product of the loss's Hessian with a vector.

    Costs about four evaluations of the loss, and never forms the Hessian (Pearlmutter, 1994).

    Args:
        loss: callable `loss(*data)` that returns a scalar tensor.
        variables: list of floating Keras variables, each one once.

    Returns:
        `f(vectors, *data) -> products`; both are lists of tensors shaped like the variables.

    Raises:
        ValueError: if an argument is not of this kind; on TensorFlow also if a part of the loss was
            traced before with `tf.nn.moments`, whose second derivative is wrong.

    Examples:
        >>> import keras
        >>> x = keras.Variable([1.0, 2.0])
        >>> (product,) = hvp(lambda: keras.ops.sum(x**3), [x])([[1.0, 10.0]])
        >>> [float(entry) for entry in product]
        [6.0, 120.0]
    """
    pure = _scalar(_pure(arguments.function("loss", loss), _distinct(variables)))
    product = backend.hvp(pure)
    compiled = backend.jit(lambda vectors, *data: product(_values(variables), vectors, *data))
    return lambda vectors, *data: compiled(_like("vectors", vectors, variables), *_tensors(data))


def jvp(function, variables):
    """A function that returns the outputs and their derivative along a direction.

    Args:
        function: callable `function(*data)` that returns a tensor or a nest of tensors.
        variables: list of floating Keras variables, each one once.

    Returns:
        `f(vectors, *data) -> (outputs, tangents)`; `vectors` is a list shaped like the variables,
        `tangents` is shaped like the outputs.

    Raises:
        ValueError: if an argument is not of this kind.

    Examples:
        >>> import keras
        >>> x = keras.Variable([1.0, 2.0])
        >>> outputs, tangents = jvp(lambda: x**2, [x])([[1.0, 10.0]])
        >>> [float(entry) for entry in tangents]
        [2.0, 40.0]
    """
    pushforward = backend.jvp(_pure(arguments.function("function", function), _distinct(variables)))
    compiled = backend.jit(lambda vectors, *data: pushforward(_values(variables), vectors, *data))
    return lambda vectors, *data: compiled(_like("vectors", vectors, variables), *_tensors(data))


def vjp(function, variables):
    """A function that returns the outputs and the transpose of `jvp`.

    Args:
        function: callable `function(*data)` that returns a tensor or a nest of tensors.
        variables: list of floating Keras variables, each one once.

    Returns:
        `f(*data) -> (outputs, pullback)`; `pullback(cotangents)` takes a nest shaped like the
        outputs and returns a list of tensors shaped like the variables. It belongs to the weights
        at which `f` was called.

    Raises:
        ValueError: if an argument is not of this kind.

    Examples:
        >>> import keras
        >>> x = keras.Variable([1.0, 2.0])
        >>> outputs, pullback = vjp(lambda: keras.ops.sum(x**2), [x])()
        >>> [float(entry) for entry in pullback(10.0)[0]]
        [20.0, 40.0]
    """
    derivative = backend.vjp(
        backend.jit(_pure(arguments.function("function", function), _distinct(variables)))
    )
    values = backend.jit(lambda: _values(variables))

    def outputs_and_pullback(*data):
        outputs, pullback = derivative(values(), *_tensors(data))
        return outputs, lambda cotangents: pullback(_like("cotangents", cotangents, outputs))

    return outputs_and_pullback


def vmap(function, in_axes=0):
    """The function mapped over an axis of its arguments.

    Args:
        function: callable on tensors, or on nests of tensors, that returns tensors.
        in_axes: int for all arguments, or a tuple with an int or None for each: the axis over
            which its tensors are mapped; None hands the argument over whole. One is an int.

    Returns:
        A function of the same arguments; its outputs are stacked along their first axis.

    Raises:
        ValueError: if an argument is not of this kind; at the call if there is not one axis for
            each argument.

    Examples:
        >>> import keras
        >>> x = keras.Variable([1.0, 2.0])
        >>> product = hvp(lambda: x[0] ** 2 * x[1], [x])
        >>> (hessian,) = vmap(product)([keras.ops.eye(2)])
        >>> [[float(entry) for entry in row] for row in hessian]
        [[4.0, 2.0], [2.0, 0.0]]
    """
    in_axes = _axes(in_axes)
    mapped = backend.vmap(arguments.function("function", function), in_axes)

    def checked(*args):
        if isinstance(in_axes, tuple) and len(in_axes) != len(args):
            raise ValueError(
                f"`in_axes` must be one for each of the {len(args)} arguments, got {in_axes}"
            )
        return mapped(*_tensors(args))

    return checked


def jit(function):
    """The function compiled, once for each shape of its arguments; on PyTorch it runs as it is.

    Keras variables are read at each call, and what the function assigns to them is dropped.

    Args:
        function: callable on tensors, or on nests of tensors, that returns tensors.

    Returns:
        A function of the same arguments.

    Raises:
        ValueError: if `function` is not callable.

    Examples:
        >>> import keras
        >>> x = keras.Variable(2.0)
        >>> double = jit(lambda scale: scale * x)
        >>> x.assign(3.0) is None, float(double(2.0))
        (False, 6.0)
    """
    compiled = backend.jit(arguments.function("function", function))
    return lambda *args: compiled(*_tensors(args))


def _pure(function, variables):
    """The function with the variables' values as its first argument."""

    def pure(values, *data):
        with backend.LiveScope(zip(variables, values, strict=True)):
            return function(*data)

    return pure


def _scalar(loss):
    def checked(values, *data):
        value = loss(values, *data)
        if not keras.ops.is_tensor(value) or tuple(value.shape):
            shown = f"shape {tuple(value.shape)}" if hasattr(value, "shape") else repr(value)
            raise ValueError(f"`loss` must return a scalar tensor, got {shown}")
        return value

    return checked


def _values(variables):
    return [keras.ops.convert_to_tensor(variable.value) for variable in variables]


def _tensors(data):
    return keras.tree.map_structure(keras.ops.convert_to_tensor, data)


def _axes(in_axes):
    """`in_axes` with ints of Python's own, which is what the backends take."""
    each = in_axes if isinstance(in_axes, tuple) else (in_axes,)
    if not all(axis is None or arguments.is_integer(axis) for axis in each) or not any(
        axis is not None for axis in each
    ):
        raise ValueError(
            "`in_axes` must be an int, or a tuple of ints and None with an int in it, got "
            f"{in_axes!r}"
        )
    plain = tuple(axis if axis is None else int(axis) for axis in each)
    return plain if isinstance(in_axes, tuple) else plain[0]


def _distinct(variables):
    listed = isinstance(variables, (list, tuple)) and all(
        isinstance(variable, keras.Variable) and keras.backend.is_float_dtype(variable.dtype)
        for variable in variables
    )
    if (
        not listed
        or not variables
        or len({id(variable) for variable in variables}) < len(variables)
    ):
        raise ValueError(
            "`variables` must be a list of one or more floating Keras variables, each one once, "
            f"got {variables!r}"
        )
    return variables


def _like(name, given, expected):
    """The given nest as tensors of the dtypes of the expected one."""

    def tensor(wanted, x):
        x = keras.ops.convert_to_tensor(x, dtype=wanted.dtype)
        if tuple(x.shape) != tuple(wanted.shape):
            raise ValueError(f"{tuple(x.shape)} for {tuple(wanted.shape)}")
        return x

    try:
        return keras.tree.map_structure_up_to(expected, tensor, expected, given)
    except (ValueError, TypeError) as error:
        shapes = keras.tree.map_structure(lambda x: tuple(x.shape), expected)
        raise ValueError(f"`{name}` must have the shapes {shapes}: {error}") from error
