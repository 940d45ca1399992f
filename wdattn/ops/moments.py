"""Mean and variance that can be differentiated as often as one likes."""

import math
from collections.abc import Sequence
from typing import Any

from keras import backend, ops

from wdattn import arguments
from wdattn.ops.float_tensor import float_tensor


def moments(x: Any, axes: int | Sequence[int], keepdims: bool = False) -> tuple[Any, Any]:
    r"""Mean and variance over axes, in two passes.

    $$m = \frac1n \sum_i x_i, \qquad v = \frac1n \sum_i (x_i - m)^2$$

    Every derivative is right on every backend. `keras.ops.moments` stops the gradient of the mean
    inside the variance on TensorFlow, which makes second derivatives wrong, and on PyTorch it
    subtracts squares, which loses a variance that is small beside the squared mean.

    Args:
        x: floating tensor of any shape. float16 and bfloat16 are summed in float32.
        axes: int or different ints within the rank of `x`, at least one: the axes to reduce.
        keepdims: keep the reduced axes with length 1.

    Returns:
        `(mean, variance)` in the dtype of `x`; the variance divides by n, not by n - 1.

    Raises:
        ValueError: if `x` is not floating, or `axes` is empty, repeated or outside the rank.

    Examples:
        >>> mean, variance = moments([1.0, 3.0], 0)
        >>> float(mean), float(variance)
        (2.0, 1.0)
    """
    arguments.flag("keepdims", keepdims)
    x = float_tensor("x", x)
    dtype = backend.standardize_dtype(x.dtype)
    axes = arguments.axes("axes", axes, len(x.shape))
    if dtype in ("float16", "bfloat16"):
        x = ops.cast(x, "float32")
    # Not `ops.mean`, which rounds float64 to float32 on JAX and PyTorch.
    count = ops.cast(math.prod(ops.shape(x)[axis] for axis in axes), x.dtype)
    mean = ops.sum(x, axes, keepdims=True) / count
    variance = ops.sum((x - mean) ** 2, axes, keepdims=True) / count
    if not keepdims:
        mean, variance = ops.squeeze(mean, axes), ops.squeeze(variance, axes)
    return ops.cast(mean, dtype), ops.cast(variance, dtype)
