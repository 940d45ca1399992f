"""Derivatives of parameters-first functions on JAX."""

import functools

import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from wdattn.backend._live_scope import LiveScope


def value_and_grad(function, has_aux=False):
    return jax.value_and_grad(function, has_aux=has_aux)


def jvp(function):
    def pushforward(parameters, vectors, *data):
        return jax.jvp(lambda p: function(p, *data), (parameters,), (vectors,))

    return pushforward


def vjp(function):
    def outputs_and_pullback(parameters, *data):
        outputs, pullback = jax.vjp(lambda p: function(p, *data), parameters)
        return outputs, lambda cotangents: pullback(cotangents)[0]

    return outputs_and_pullback


def hvp(function):
    """Forward over reverse."""
    pushforward = jvp(jax.grad(function))
    return lambda parameters, vectors, *data: pushforward(parameters, vectors, *data)[1]


def vmap(function, in_axes=0):
    return jax.vmap(function, in_axes=in_axes)


NESTS = True


def each(function, in_axes=0):
    """One after the other: what one call of the function works on then stays in the cache."""

    def mapped(*args):
        axes = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
        stacked = {
            place: jax.tree.map(lambda x, axis=axis: jnp.moveaxis(x, axis, 0), arg)
            for place, (arg, axis) in enumerate(zip(args, axes, strict=True))
            if axis is not None
        }

        def one(rows):
            return function(*(rows.get(place, arg) for place, arg in enumerate(args)))

        return jax.lax.map(one, stacked)

    return mapped


# XLA on a CPU emits loops without vector instructions for the sums that are the transpose of a
# broadcast: the pullback of the products below takes 1750 us that way and 48 us by their own rule
# (f = 6, 1000 prompts). So they are a primitive, whose derivatives are the same primitive.
_UNROLLED = 64
_contract = Primitive("contract")


def contract(left, right):
    dtype = jnp.result_type(left, right)
    return _bind(jnp.asarray(left, dtype), jnp.asarray(right, dtype), (0, 0))


def _bind(left, right, axes):
    """The entries `(..., i, k, b)`, with the sum over these ones of each factor's two axes."""
    return _contract.bind(left, right, axes=axes)


def _products(left, right, *, axes):
    left, right = _batch_innermost(left), _batch_innermost(right)
    left, right = (
        jnp.moveaxis(x, axis - 3, 0) for x, axis in zip((left, right), axes, strict=True)
    )
    if len(left) <= _UNROLLED:
        terms = zip(left, right, strict=True)
        return sum(x[..., :, None, :] * y[..., None, :, :] for x, y in terms)

    def add(place, total):
        return total + left[place][..., :, None, :] * right[place][..., None, :, :]

    first = left[0][..., :, None, :] * right[0][..., None, :, :]
    return jax.lax.fori_loop(1, len(left), add, first)


def _batch_innermost(x):
    """In memory too, where XLA would rather leave a transpose undone than read without a stride."""
    return with_layout_constraint(x, Layout(tuple(range(x.ndim))))


def _shape(left, right, *, axes):
    leading = jnp.broadcast_shapes(left.shape[:-3], right.shape[:-3])
    kept = left.shape[-2 - axes[0]], right.shape[-2 - axes[1]]
    return jax.core.ShapedArray((*leading, *kept, left.shape[-1]), left.dtype)


def _left_pullback(cotangent, left, right, *, axes):
    a, c = axes
    terms = (cotangent, right, (1, 1 - c)) if a else (right, cotangent, (1 - c, 1))
    return _unbroadcast(_bind(*terms), left.aval.shape)


def _right_pullback(cotangent, left, right, *, axes):
    a, c = axes
    terms = (cotangent, left, (0, 1 - a)) if c else (left, cotangent, (1 - a, 0))
    return _unbroadcast(_bind(*terms), right.aval.shape)


def _unbroadcast(x, shape):
    return jnp.sum(x, [i for i, (a, b) in enumerate(zip(x.shape, shape, strict=True)) if a != b],
                   keepdims=True)  # fmt: skip


def _batched(args, axes_of, *, axes):
    return _bind(*(x[None] if axis is None else jnp.moveaxis(x, axis, 0)
                   for x, axis in zip(args, axes_of, strict=True)), axes), 0  # fmt: skip


_contract.def_impl(jax.jit(_products, static_argnames="axes"))
_contract.def_abstract_eval(_shape)
mlir.register_lowering(_contract, mlir.lower_fun(_products, multiple_results=False))
ad.defbilinear(_contract, _left_pullback, _right_pullback)
batching.primitive_batchers[_contract] = _batched


class _Missed(Exception):
    """A trace read variables that were not among its arguments."""


class _RecordingScope(LiveScope):
    """Notes each Keras variable that is read and not mapped."""

    def __init__(self, state_mapping):
        super().__init__(state_mapping)
        self.missed = {}

    def read(self, variable):
        if variable._value is not None:  # one that the trace made has no value yet
            self.missed[id(variable)] = variable
        return super().read(variable)


def jit(function):
    """`jax.jit` whose Keras variables are arguments: read at each call, not baked in at the first.

    A trace that reads variables not known yet is dropped and made again with them.
    """
    variables = []

    @jax.jit
    def compiled(values, *args):
        with _RecordingScope(zip(variables, values, strict=True)) as scope:
            outputs = function(*args)
        if scope.missed:
            variables.extend(scope.missed.values())
            raise _Missed
        return outputs

    @functools.wraps(function)
    def live(*args):
        while True:
            try:
                return compiled([variable.value for variable in variables], *args)
            except _Missed:
                continue

    return live


def full_precision():
    return jax.default_matmul_precision("highest")


def doubles(wanted):
    """float64 is float32 on JAX unless it is switched on."""
    return jax.enable_x64(wanted)


together = None  # the compiler fuses what is done variable by variable


def version():
    return jax.__version__


def device():
    first = jax.devices()[0]
    return first.platform if first.platform == "cpu" else f"{first.platform} {first.device_kind}"
