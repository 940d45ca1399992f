"""What layer and RMS normalisation have in common."""

import keras
from keras import ops

from wdattn import arguments


class Normalization(keras.layers.Layer):
    """Base of the layers that normalise over axes, with weights that lie along these.

    Args:
        axis: int, or a list of ints.
        epsilon: float > 0.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if an argument is not of this kind.
    """

    def __init__(self, axis, epsilon, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.autocast = False  # float32 inputs stay exact under a mixed policy
        axes = arguments.axes("axis", axis)
        self.axis = axes if isinstance(axis, list | tuple) else axes[0]
        self.epsilon = arguments.real("epsilon", epsilon, above=0)

    def axes(self, shape):
        """The axes of inputs of a shape, from 0 on, ascending."""
        axes = arguments.axes("axis", self.axis, len(shape))
        if any(shape[axis] is None for axis in axes):
            raise ValueError(
                f"`axis` must be axes of known length, got {self.axis} of {tuple(shape)}"
            )
        return axes

    def weight_shape(self, input_shape):
        """The shape of a weight: the sizes of the axes."""
        return tuple(input_shape[axis] for axis in self.axes(input_shape))

    def along(self, weight, axes, x):
        """A weight of the sizes of some axes of `x`, ready to be multiplied with it."""
        shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
        return ops.reshape(ops.cast(weight, x.dtype), shape)

    def compute_output_shape(self, input_shape):
        self.axes(input_shape)
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}
