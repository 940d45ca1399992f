"""Derivatives of parameters-first functions on PyTorch, all of them `torch.func`'s.

The fused attention kernels have no second derivative and no forward mode, so a derivative inside a
derivative takes PyTorch's plain attention, and `jvp` is the transpose of `vjp`.
"""

import contextlib
import contextvars
import functools

import keras
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from wdattn.backend import _torch_together
from wdattn.backend._live_scope import LiveScope

_inside = contextvars.ContextVar("whether a derivative is being taken", default=False)


def _derivative(derivative):
    @functools.wraps(derivative)
    def call(*args):
        attention = sdpa_kernel(SDPBackend.MATH) if _inside.get() else contextlib.nullcontext()
        outer = _inside.set(True)
        try:
            with attention:
                return derivative(*args)
        finally:
            _inside.reset(outer)

    return call


def value_and_grad(function, has_aux=False):
    gradient_first = torch.func.grad_and_value(function, has_aux=has_aux)

    @_derivative
    def value_first(parameters, *data):
        gradients, value = gradient_first(parameters, *data)
        return value, gradients

    return value_first


def jvp(function):
    outputs_and_pullback = vjp(function)

    @_derivative
    def pushforward(parameters, vectors, *data):
        outputs, pullback = outputs_and_pullback(parameters, *data)
        # The pullback is linear, so any cotangents do.
        cotangents = keras.tree.map_structure(torch.ones_like, outputs)
        _, transpose = torch.func.vjp(pullback, cotangents)
        return outputs, transpose(vectors)[0]

    return pushforward


def vjp(function):
    @_derivative
    def outputs_and_pullback(parameters, *data):
        outputs, pullback = torch.func.vjp(lambda p: function(p, *data), parameters)
        return outputs, lambda cotangents: pullback(cotangents)[0]

    return outputs_and_pullback


def hvp(function):
    """Reverse over reverse."""
    gradient = value_and_grad(function)
    gradient_and_pullback = vjp(lambda *args: gradient(*args)[1])
    return lambda parameters, vectors, *data: gradient_and_pullback(parameters, *data)[1](vectors)


def vmap(function, in_axes=0):
    """`torch.func.vmap`, which cannot take Keras' Conv2D with channels last."""
    mapped = torch.func.vmap(function, in_dims=in_axes)

    def plain_attention(*args):
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no batching rule
            return mapped(*args)

    return plain_attention


each = vmap
NESTS = True


# Prompts from which on `_Contract` pays. Under `torch.func` each call of an `autograd.Function`
# costs 0.5 ms; all terms and then their sum is a few times slower once they leave the cache.
_LARGE = 512


def contract(left, right):
    """Batched products of matrices this small take three times as long as either way."""
    if right.shape[1] > 1 and left.shape[2] >= _LARGE:
        return _Contract.apply(left, right, (0, 0))
    return (left[:, :, None] * right[:, None]).sum(0)


class _Contract(torch.autograd.Function):
    """The sum term by term, forward and back."""

    @staticmethod
    def forward(left, right, axes):
        left, right = (
            x.contiguous().movedim(axis - 3, 0)  # the batch is innermost in memory too
            for x, axis in zip((left, right), axes, strict=True)
        )
        total = left[0][..., :, None, :] * right[0][..., None, :, :]
        for one, other in zip(left[1:], right[1:], strict=True):
            total.addcmul_(one[..., :, None, :], other[..., None, :, :])
        return total

    @staticmethod
    def setup_context(ctx, inputs, output):
        left, right, ctx.axes = inputs
        ctx.save_for_backward(left, right)

    @staticmethod
    def backward(ctx, cotangent):
        left, right, (a, c) = *ctx.saved_tensors, ctx.axes
        for_left = (cotangent, right, (1, 1 - c)) if a else (right, cotangent, (1 - c, 1))
        for_right = (cotangent, left, (0, 1 - a)) if c else (left, cotangent, (1 - a, 0))
        return (
            _Contract.apply(*for_left).sum_to_size(left.shape),
            _Contract.apply(*for_right).sum_to_size(right.shape),
            None,
        )

    @staticmethod
    def vmap(info, in_dims, left, right, axes):
        left, right = (
            x[None] if dim is None else x.movedim(dim, 0)
            for x, dim in zip((left, right), in_dims[:2], strict=True)
        )
        return _Contract.apply(left, right, axes), 0


class _CopyingScope(LiveScope):
    """Keras variables are read as copies outside of autograd, once each.

    Keras assigns in place, which would reach what a pullback keeps, without a word in `torch.func`.
    """

    def read(self, variable):
        value = super().read(variable)
        if value is None and variable._value is not None:
            value = self.state_mapping[id(variable)] = variable._value.detach().clone()
        return value


def jit(function):
    """PyTorch runs the function as it is: nothing is compiled.

    Keras variables are read detached, what is assigned to them is dropped, and the global
    generator, from which Keras' unseeded dropout draws, is left as it was.
    """

    @functools.wraps(function)
    def eager(*args):
        devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
        with _CopyingScope(), torch.random.fork_rng(devices):
            return function(*args)

    return eager


@contextlib.contextmanager
def full_precision():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def doubles(wanted):
    """There are always."""
    return contextlib.nullcontext()


together = _torch_together


def version():
    return torch.__version__


def device():
    return f"cuda {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "cpu"
