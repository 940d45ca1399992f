"""The update formulas in the papers' forms, as pure functions of tensors, and rules built on them.

A rule turns a gradient into a direction d; the parameter then moves by `descend`. Both act entry by
entry, so that a leading replica axis needs nothing special.
"""

import math
from dataclasses import dataclass
from functools import reduce
from numbers import Real

from keras import ops

from wdattn.arguments import flag, real


def adam(gradient, mean, square, step, beta_1, beta_2, epsilon):
    r"""Adam's direction and its new moments.

    $$d = \hat m / (\sqrt{\hat v} + \epsilon), \qquad
    \hat m = \frac{m}{1 - \beta_1^t}, \quad \hat v = \frac{v}{1 - \beta_2^t}$$

    Kingma & Ba (2015), Algorithm 1, as in `torch.optim.Adam`. `keras.optimizers.Adam` adds epsilon
    to the root of the uncorrected moment instead, a larger epsilon in the first steps.

    Args:
        gradient: tensor of any shape.
        mean: like `gradient`. Moving average m of the gradient, 0 at the start.
        square: like `gradient`. Moving average v of its square, 0 at the start.
        step: scalar t, counted from 1; number or tensor, integer or float.
        beta_1: float in [0, 1). Decay of m.
        beta_2: float in [0, 1). Decay of v.
        epsilon: float > 0.

    Returns:
        `(direction, mean, square)`, each like `gradient`.
    """
    mean = beta_1 * mean + (1 - beta_1) * gradient
    square = beta_2 * square + (1 - beta_2) * ops.square(gradient)
    step = ops.cast(step, square.dtype)
    scale = ops.sqrt(square / _correction(beta_2, step)) + epsilon
    return mean / _correction(beta_1, step) / scale, mean, square


def _correction(beta, step):
    """1 - beta^step, by expm1: 1 - 0.999^1 itself loses five digits in float32."""
    return -ops.expm1(step * (math.log(beta) if beta else -math.inf))


def sgd(gradient, buffer, momentum):
    r"""The direction of gradient descent with momentum, and the new buffer: the same tensor.

    $$m \leftarrow \mu m + g, \qquad d = m$$

    Polyak's (1964) heavy ball as in `torch.optim.SGD`: no dampening, and the rate stays outside of
    the buffer. `keras.optimizers.SGD` takes it in, which differs as soon as the rate changes.

    Args:
        gradient: tensor of any shape.
        buffer: like `gradient`. The buffer m, 0 at the start.
        momentum: float in [0, 1).

    Returns:
        `(direction, buffer)`, each like `gradient`.
    """
    buffer = momentum * buffer + gradient
    return buffer, buffer


def descend(parameter, direction, rate, decay):
    r"""The parameter one step on, with decoupled weight decay.

    $$p \leftarrow p - \eta (d + \lambda p)$$

    Loshchilov & Hutter (2019), Algorithm 2, with the rate in front of the decay as in
    `torch.optim.AdamW`: a schedule of the rate then schedules the decay too.

    Args:
        parameter: tensor of any shape.
        direction: like `parameter`.
        rate: float >= 0, or a tensor that broadcasts. The learning rate.
        decay: float >= 0, or a tensor that broadcasts. The decay, per unit of rate.

    Returns:
        Tensor like `parameter`.
    """
    return parameter - rate * (direction + decay * parameter)


def clip_by_global_norm(gradients, norm):
    r"""Gradients of one run, shortened together to at most this Euclidean norm.

    $$g \leftarrow g \, \frac{c}{\lVert g \rVert} \quad\text{if}\quad \lVert g \rVert > c$$

    Pascanu et al. (2013), Algorithm 1. The largest entry is factored out first, so that no square
    overflows: in float32 a norm above 1.8e19 would be infinite, and the clipped gradient 0.

    Args:
        gradients: list of tensors.
        norm: scalar c > 0; infinity leaves the gradients as they are.

    Returns:
        List of tensors like `gradients`. Entries that are not finite stay so.

    Raises:
        ValueError: if the norm is a number that is not positive.
    """
    if isinstance(norm, Real) and not norm > 0:
        raise ValueError(f"`norm` must be > 0, got {norm!r}")
    largest = reduce(ops.maximum, [ops.max(ops.abs(gradient)) for gradient in gradients])
    # An eighth: the inverse of 3e38 is denormal, and compilers that take it flush it to 0.
    unit = ops.maximum(largest / 8, 1e-30)
    scaled = [gradient / unit for gradient in gradients]
    length = ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in scaled))
    return [
        ops.where(unit * length > norm, short * (norm / length), gradient)
        for short, gradient in zip(scaled, gradients, strict=True)
    ]


def norm(tensors):
    """Euclidean norm of all entries together, in float32 at least.

    Args:
        tensors: list of tensors.

    Returns:
        Scalar tensor.
    """
    wide = [ops.cast(x, x.dtype if "64" in str(x.dtype) else "float32") for x in tensors]
    return ops.sqrt(reduce(ops.add, [ops.sum(ops.square(x)) for x in wide]))


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015, Algorithm 1) as an update rule.

    Args:
        beta_1: float in [0, 1). Decay of the gradient's moving average.
        beta_2: float in [0, 1). Decay of the squared gradient's moving average.
        epsilon: float > 0. Added after the bias correction.

    Call arguments:
        gradient: tensor of any shape.
        slots: `(mean, square)`, each like `gradient`, 0 at the start.
        step: scalar, counted from 1; number or tensor.

    Returns:
        `(direction, slots)`.

    Raises:
        ValueError: if a number is not in its range.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    slots = 2
    """Arrays kept for each parameter."""

    def __post_init__(self):
        _below_one("beta_1", self.beta_1)
        _below_one("beta_2", self.beta_2)
        real("epsilon", self.epsilon, above=0)

    def __call__(self, gradient, slots, step):
        direction, *slots = adam(gradient, *slots, step, self.beta_1, self.beta_2, self.epsilon)
        return direction, tuple(slots)


@dataclass(frozen=True)
class SGD:
    """Gradient descent with Polyak's momentum as an update rule; plain descent at momentum 0.

    Args:
        momentum: float in [0, 1). The rate is not multiplied into the buffer.
        nesterov: whether the direction is g + μ m, one step ahead of the buffer m, as in
            `torch.optim.SGD`.

    Call arguments:
        gradient: tensor of any shape.
        slots: `(buffer,)`, like `gradient`, 0 at the start; `()` without momentum.
        step: scalar, counted from 1; not used.

    Returns:
        `(direction, slots)`.

    Raises:
        ValueError: if an argument is not in its range.
    """

    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self):
        _below_one("momentum", self.momentum)
        flag("nesterov", self.nesterov)

    @property
    def slots(self) -> int:
        """Arrays kept for each parameter."""
        return 1 if self.momentum else 0

    def __call__(self, gradient, slots, step):
        if not slots:
            return gradient, ()
        direction, buffer = sgd(gradient, *slots, self.momentum)
        if self.nesterov:
            direction = gradient + self.momentum * direction
        return direction, (buffer,)


def _below_one(name, value):
    real(name, value, least=0, below=1)
