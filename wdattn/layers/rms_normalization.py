"""Root-mean-square normalisation."""

import math

import keras
from keras import ops

from wdattn.layers.normalization import Normalization
from wdattn.ops.at_least_float32 import at_least_float32


@keras.saving.register_keras_serializable("wdattn")
class RMSNormalization(Normalization):
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
        super().__init__(axis, epsilon, **kwargs)

    def build(self, input_shape):
        shape = self.weight_shape(input_shape)
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones", autocast=False)

    def call(self, inputs):
        axes = self.axes(inputs.shape)
        x = ops.cast(inputs, at_least_float32(inputs))
        # Not `ops.mean`, which rounds float64 to float32 on JAX and PyTorch.
        square = ops.sum(ops.square(x), axes, keepdims=True) / math.prod(x.shape[a] for a in axes)
        y = x * ops.rsqrt(square + self.epsilon) * self.along(self.scale, axes, x)
        return ops.cast(y, self.compute_dtype)
