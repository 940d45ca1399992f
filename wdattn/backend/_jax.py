"""Derivatives of parameters-first functions on JAX."""

import functools

import jax

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


def version():
    return jax.__version__


def device():
    first = jax.devices()[0]
    return first.platform if first.platform == "cpu" else f"{first.platform} {first.device_kind}"
