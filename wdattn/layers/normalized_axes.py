"""The axes of a normalisation, and how its weights lie along them."""

import numbers

from keras import ops


def checked(axis):
    """An int, or different ints as a tuple."""
    several = isinstance(axis, list | tuple)
    axes = list(axis) if several else [axis]
    whole = all(isinstance(one, numbers.Integral) and not isinstance(one, bool) for one in axes)
    if not axes or not whole or len(set(axes)) < len(axes):
        raise ValueError(f"`axis` must be an int or a list of different ints, got {axis!r}")
    return tuple(axes) if several else axis


def among(axis, shape):
    """The axes from 0 on, ascending."""
    rank, axes = len(shape), axis if isinstance(axis, tuple) else (axis,)
    found = sorted({one % rank for one in axes if -rank <= one < rank})
    if len(found) < len(axes):
        raise ValueError(
            f"`axis` must be different axes in [{-rank}, {rank - 1}] for inputs of shape "
            f"{tuple(shape)}, got {axis}"
        )
    if any(shape[one] is None for one in found):
        raise ValueError(f"`axis` must be axes of known length, got {axis} of {tuple(shape)}")
    return found


def along(weight, axes, x):
    """A weight of the sizes of some axes of `x`, to be multiplied with it, in the dtype of `x`."""
    shape = [x.shape[axis] if axis in axes else 1 for axis in range(len(x.shape))]
    return ops.reshape(ops.cast(weight, x.dtype), shape)
