"""Root-mean-square normalisation."""

import math

import keras
from keras import ops

from wdattn import arguments
from wdattn.layers import normalized_axes
from wdattn.ops.at_least_float32 import at_least_float32


@keras.saving.register_keras_serializable("wdattn")
class RMSNormalization(keras.layers.Layer):
    r"""As `keras.layers.RMSNormalization`, with the same formula on each backend.

    $$y = s\, \frac{x}{\sqrt{\frac1n \sum_i x_i^2 + \epsilon}}$$

    Zhang and Sennrich (2019), over `axis`. Arguments, weights and values are Keras'. float16 and
    bfloat16 are computed in float32.

    Args:
        axis: int, or a list of ints.
        epsilon: float > 0.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: float tensor that has the axes.

    Returns:
        Tensor of the shape of `inputs`.

    Raises:
        ValueError: if an argument is not of this kind, or `inputs` lacks an axis.
    """

    def __init__(self, axis=-1, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.autocast = False  # float32 inputs stay exact under a mixed policy
        self.axis = normalized_axes.checked(axis)
        self.epsilon = arguments.real("epsilon", epsilon, above=0)

    def build(self, input_shape):
        shape = tuple(input_shape[axis] for axis in normalized_axes.among(self.axis, input_shape))
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones", autocast=False)

    def call(self, inputs):
        axes = normalized_axes.among(self.axis, inputs.shape)
        x = ops.cast(inputs, at_least_float32(inputs))
        # Not `ops.mean`, which rounds float64 to float32 on JAX and PyTorch.
        square = ops.sum(ops.square(x), axes, keepdims=True) / math.prod(x.shape[a] for a in axes)
        y = x * ops.rsqrt(square + self.epsilon) * normalized_axes.along(self.scale, axes, x)
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        normalized_axes.among(self.axis, input_shape)
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}
