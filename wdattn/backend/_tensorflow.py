"""Derivatives of parameters-first functions on TensorFlow, by gradient tapes alone.

Two things are silently wrong in TensorFlow itself. `tf.nn.moments` stops the gradient of the mean
inside the variance: the first derivative is right, since the variance is stationary in its centre,
and every further one is not, through Keras' LayerNormalization, BatchNormalization and
GroupNormalization too. And the gradient of a bilinear resize has no derivative and counts as
constant. So functions are called with moments that stop nothing, and a derivative of a derivative
is refused where the parameters move a resize, or the old moments, as in a `tf.function` traced
before.
"""

import contextlib
import contextvars
import functools
import threading

import keras
import tensorflow as tf

from wdattn.backend._live_scope import LiveScope


def _moments(x, axes, shift=None, keepdims=False, name=None):
    """`tf.nn.moments` without its `stop_gradient`."""
    with tf.name_scope(name or "moments"):
        wide = tf.cast(x, tf.float32) if x.dtype == tf.float16 else x
        mean = tf.reduce_mean(wide, axes, keepdims=True)
        variance = tf.reduce_mean(tf.math.squared_difference(wide, mean), axes, keepdims=True)
        if not keepdims:
            mean, variance = tf.squeeze(mean, axes), tf.squeeze(variance, axes)
        return tf.cast(mean, x.dtype), tf.cast(variance, x.dtype)


class _Substitution:
    """Puts `_moments` in the place of `tf.nn.moments` while any thread is inside."""

    def __init__(self):
        self._lock, self._inside = threading.Lock(), 0

    def __enter__(self):
        with self._lock:
            if not self._inside:
                self._original, tf.nn.moments = tf.nn.moments, _moments
            self._inside += 1

    def __exit__(self, *exception):
        with self._lock:
            self._inside -= 1
            if not self._inside:
                tf.nn.moments = self._original


_true_moments = _Substitution()
_order = contextvars.ContextVar("order of the derivative being traced", default=0)


def _stops_mean(nodes):
    """Whether these graph nodes hold what `tf.nn.moments` leaves: (x - stop_gradient(mean))^2."""
    by_name = {node.name: node for node in nodes}

    def fed_by(node, kind):
        sources = (by_name.get(name.split(":")[0]) for name in node.input)
        return [source for source in sources if source is not None and source.op == kind]

    squares = (node for node in nodes if node.op == "SquaredDifference")
    return any(fed_by(stop, "Mean") for node in squares for stop in fed_by(node, "StopGradient"))


def _functions(nodes, library):
    """The node lists of all functions that these nodes call, directly or not."""
    for node in nodes:
        for value in node.attr.values():
            for called in (value.func, *value.list.func):
                if called.name in library:
                    body = library.pop(called.name)
                    yield body
                    yield from _functions(body, library)


def _moved(operations, parameters):
    """The operations among these whose inputs depend on the parameters, in the order of a graph."""
    tensors = {tensor.ref() for tensor in keras.tree.flatten(parameters)}
    moved = []
    for operation in operations:
        if any(tensor.ref() in tensors for tensor in operation.inputs):
            moved.append(operation)
            tensors.update(tensor.ref() for tensor in operation.outputs)
    return moved


def _refuse_wrong(graph, operations, parameters, second):
    """Raises if a reverse pass over the gradient of these operations would be wrong.

    Along a direction (`jvp`) that pass is linear, so the moments are harmless unless `second`. What
    does not depend on the parameters, as a resize of the data, has no gradient to be wrong; the
    functions that a moved operation calls count as moved throughout.
    """
    nodes = [operation.node_def for operation in _moved(operations, parameters)]
    library = {f.signature.name: f.node_def for f in graph.as_graph_def().library.function}
    bodies = [nodes, *_functions(nodes, library)]
    if any(node.op == "ResizeBilinear" for body in bodies for node in body):
        raise ValueError(
            "this derivative would be wrong: TensorFlow takes the gradient of a bilinear resize "
            "for a constant. Resize the batch beforehand, or use another interpolation"
        )
    if second and any(map(_stops_mean, bodies)):
        raise ValueError(
            "this second derivative would be wrong: the function holds `tf.nn.moments`, which "
            "stops the gradient of the mean inside the variance, in a part traced before (by "
            "`tf.function`, or in a saved model). Hand over the layers or the Python function"
        )


def _guarded(function, passes=1):
    """The function as a derivative that takes so many reverse passes over it calls it."""

    def call(*args):
        order = _order.get()
        _order.set(order + passes)
        try:
            with _true_moments:
                if order + passes == 1:
                    return function(*args)
                if tf.executing_eagerly():  # only a graph can be looked through
                    return tf.function(looked_through, autograph=False)(*args)
                return looked_through(*args)
        finally:
            _order.set(order)

    def looked_through(parameters, *data):
        graph = tf.compat.v1.get_default_graph()
        before = len(graph.get_operations())
        outputs = function(parameters, *data)
        added = graph.get_operations()[before:]
        _refuse_wrong(graph, added, parameters, second=_order.get() > passes)
        return outputs

    return call


def _dense(tree):
    """IndexedSlices, an embedding's gradient, as the tensors they stand for."""
    return keras.tree.map_structure(tf.convert_to_tensor, tree)


def _own(parameters):
    """New tensors: a tape would also follow a constant of the function that is the same tensor."""
    return [tf.identity(tf.convert_to_tensor(parameter)) for parameter in parameters]


def value_and_grad(function, has_aux=False):
    function = _guarded(function)

    def derivative(parameters, *data):
        parameters = _own(parameters)
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            outputs = function(parameters, *data)
        value = outputs[0] if has_aux else outputs
        return outputs, _dense(tape.gradient(value, parameters, unconnected_gradients="zero"))

    return derivative


def jvp(function):
    """The transpose of `vjp`: TensorFlow's forward mode has no rule for the loop of an LSTM."""
    outputs_and_pullback = _vjp(_guarded(function, passes=2))

    def pushforward(parameters, vectors, *data):
        with tf.GradientTape() as tape:
            outputs, pullback = outputs_and_pullback(parameters, *data)
            # The pullback is linear, so any cotangents do.
            cotangents = keras.tree.map_structure(tf.ones_like, outputs)
            tape.watch(cotangents)
            gradients = pullback(cotangents)
        return outputs, _dense(tape.gradient(gradients, cotangents, vectors, "zero"))

    return pushforward


def vjp(function):
    return _vjp(_guarded(function))


def _vjp(function):
    def outputs_and_pullback(parameters, *data):
        parameters = _own(parameters)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(parameters)
            outputs = function(parameters, *data)

        def pullback(cotangents):
            return _dense(tape.gradient(outputs, parameters, cotangents, "zero"))

        return outputs, pullback

    return outputs_and_pullback


def hvp(function):
    """Reverse over reverse, which traces faster than forward over reverse and runs as fast."""
    gradient = value_and_grad(function)
    gradient_and_pullback = vjp(lambda *args: gradient(*args)[1])
    return lambda parameters, vectors, *data: gradient_and_pullback(parameters, *data)[1](vectors)


def vmap(function, in_axes=0):
    def mapped(*args):
        axes = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
        stacked = {
            place: keras.tree.map_structure(
                lambda x, axis=axis: keras.ops.moveaxis(x, axis, 0), arg
            )
            for place, (arg, axis) in enumerate(zip(args, axes, strict=True))
            if axis is not None
        }

        lengths = {leaf.shape[0] for leaf in keras.tree.flatten(stacked)} - {None}
        if not stacked or len(lengths) > 1:  # TensorFlow would repeat what has length 1
            raise ValueError(
                f"`in_axes` must map at least one axis, and all of one length, got {in_axes} "
                f"for lengths {sorted(lengths)}"
            )

        def one(rows):
            return function(*(rows.get(place, arg) for place, arg in enumerate(args)))

        return tf.vectorized_map(one, stacked)

    return mapped


each = vmap
# `vectorized_map` inside another is not traced in two minutes at depth 8; at depth 3 it would pay.
NESTS = False


def contract(left, right):
    return tf.reduce_sum(left[:, :, None] * right[:, None], 0)


def jit(function):
    """`tf.function` that reads Keras variables at each call and drops what is assigned to them."""
    compiled = tf.function(function, autograph=False)

    @functools.wraps(function)
    def live(*args):
        with LiveScope() as scope, _true_moments:
            # A graph traced before does not know what an enclosing scope says of the variables.
            nested = scope.original_scope is not None or not tf.executing_eagerly()
            return (function if nested else compiled)(*args)

    return live


@contextlib.contextmanager
def full_precision():
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def doubles(wanted):
    """There are always."""
    return contextlib.nullcontext()


together = None  # the compiler fuses what is done variable by variable


def version():
    return tf.__version__


def device():
    gpus = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
    return f"gpu {details.get('device_name', '')}".strip() if gpus else "cpu"
