"""Layer normalisation with right second derivatives."""

import keras
from keras import ops

from wdattn import arguments
from wdattn.layers import keras_objects
from wdattn.layers.normalization import Normalization
from wdattn.ops.at_least_float32 import at_least_float32
from wdattn.ops.moments import moments


@keras.saving.register_keras_serializable("wdattn")
class LayerNormalization(Normalization):
    r"""As `keras.layers.LayerNormalization`, and its second derivative is right everywhere.

    $$y = \gamma\, \frac{x - m}{\sqrt{v + \epsilon}} + \beta$$

    Ba et al. (2016), with mean m and variance v over `axis`. On TensorFlow Keras' layer stops a
    gradient inside the variance, so that Hessian-vector products through it are wrong. Arguments,
    weights and values are Keras'. float16 and bfloat16 are computed in float32.

    Args:
        axis: int, or a list of ints.
        epsilon: float > 0.
        center: bool. Whether there is a `beta`.
        scale: bool. Whether there is a `gamma`.
        beta_initializer: of `beta`.
        gamma_initializer: of `gamma`.
        beta_regularizer: of `beta`.
        gamma_regularizer: of `gamma`.
        beta_constraint: of `beta`.
        gamma_constraint: of `gamma`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: float tensor that has the axes.

    Returns:
        Tensor of the shape of `inputs`.

    Raises:
        ValueError: if an argument is not of this kind, or `inputs` lacks an axis.
    """

    def __init__(
        self,
        axis=-1,
        epsilon=1e-3,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        **kwargs,
    ):
        super().__init__(axis, epsilon, **kwargs)
        self.center = arguments.flag("center", center)
        self.scale = arguments.flag("scale", scale)
        self.beta_initializer = keras_objects.initializer("beta_initializer", beta_initializer)
        self.gamma_initializer = keras_objects.initializer("gamma_initializer", gamma_initializer)
        self.beta_regularizer = keras_objects.regularizer("beta_regularizer", beta_regularizer)
        self.gamma_regularizer = keras_objects.regularizer("gamma_regularizer", gamma_regularizer)
        self.beta_constraint = keras_objects.constraint("beta_constraint", beta_constraint)
        self.gamma_constraint = keras_objects.constraint("gamma_constraint", gamma_constraint)

    def build(self, input_shape):
        shape = self.weight_shape(input_shape)
        self.gamma = self._weight("gamma", shape) if self.scale else None
        self.beta = self._weight("beta", shape) if self.center else None

    def call(self, inputs):
        axes = self.axes(inputs.shape)
        x = ops.cast(inputs, at_least_float32(inputs))
        mean, variance = moments(x, axes, keepdims=True)
        y = (x - mean) * ops.rsqrt(variance + self.epsilon)
        if self.gamma is not None:
            y = y * self.along(self.gamma, axes, y)
        if self.beta is not None:
            y = y + self.along(self.beta, axes, y)
        return ops.cast(y, self.compute_dtype)

    @classmethod
    def from_config(cls, config):
        return super().from_config(
            keras_objects.from_keras_config(config, {"rms_scaling": (False,)})
        )

    def get_config(self):
        return {
            **super().get_config(),
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": keras_objects.config(self.beta_initializer),
            "gamma_initializer": keras_objects.config(self.gamma_initializer),
            "beta_regularizer": keras_objects.config(self.beta_regularizer),
            "gamma_regularizer": keras_objects.config(self.gamma_regularizer),
            "beta_constraint": keras_objects.config(self.beta_constraint),
            "gamma_constraint": keras_objects.config(self.gamma_constraint),
        }

    def _weight(self, name, shape):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=keras_objects.fresh(getattr(self, f"{name}_initializer"), self.path, name),
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
            autocast=False,
        )
