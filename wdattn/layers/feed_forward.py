"""The feed-forward half of a transformer block."""

import functools

import keras
from keras import ops

from wdattn import arguments
from wdattn.layers import keras_objects

ACTIVATIONS = {
    "relu": (ops.relu, False),
    "gelu": (functools.partial(ops.gelu, approximate=False), False),
    "gelu_tanh": (functools.partial(ops.gelu, approximate=True), False),
    "swiglu": (ops.silu, True),
    "geglu": (functools.partial(ops.gelu, approximate=False), True),
}
"""Name: the function, and whether it gates a second projection."""

TOKEN_AXES = "abcdefgh"  # letters of an equation


@keras.saving.register_keras_serializable("wdattn")
class FeedForward(keras.layers.Layer):
    r"""Two dense layers and what stands between them, for each token by itself.

    $$y = W_2\, \phi(W_1 x + b_1) + b_2 \qquad\text{or, gated,}\qquad
    y = W_2 \big(\phi(W_g x + b_g) \odot (W_1 x + b_1)\big) + b_2$$

    Vaswani et al. (2017), Section 3.3, and Shazeer (2020). "gelu" is exact, "gelu_tanh" the
    approximation of GPT-2; "swiglu" and "geglu" are gated by SiLU and by the exact GELU. The
    sub-layers are `hidden` ($W_1$), `gate` where there is one, and `output`.

    Args:
        hidden_dim: int >= 1. Features in between.
        activation: "relu", "gelu", "gelu_tanh", "swiglu" or "geglu".
        dropout: float in [0, 1). Share of the features in between set to 0 in training.
        use_bias: bool. Whether the dense layers have biases.
        kernel_initializer: of the kernels. Those of `wdattn.initializers` draw by path.
        bias_initializer: of the biases.
        seed: int >= 0 or None, of the dropout.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, ..., features)` float, of the rank that it was built with.
        training: bool. Whether dropout acts.

    Returns:
        Tensor of the shape of `inputs`.

    Raises:
        ValueError: if an argument is not of this kind, or `inputs` not of this shape.
    """

    def __init__(
        self,
        hidden_dim,
        activation="gelu",
        dropout=0.0,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.hidden_dim = arguments.integer("hidden_dim", hidden_dim)
        self.activation = arguments.choice("activation", activation, ACTIVATIONS)
        self.dropout = arguments.real("dropout", dropout, least=0, below=1)
        self.use_bias = arguments.flag("use_bias", use_bias)
        self.kernel_initializer = keras_objects.initializer(
            "kernel_initializer", kernel_initializer
        )
        self.bias_initializer = keras_objects.initializer("bias_initializer", bias_initializer)
        self.seed = arguments.seed_or_none("seed", seed)

    def build(self, input_shape):
        if not 2 <= len(input_shape) <= 1 + len(TOKEN_AXES) or input_shape[-1] is None:
            raise ValueError(f"`inputs` must be (batch, ..., features), got {tuple(input_shape)}")
        self.hidden = self._dense("hidden", self.hidden_dim, input_shape)
        if ACTIVATIONS[self.activation][1]:
            self.gate = self._dense("gate", self.hidden_dim, input_shape)
        self.output_dense = self._dense(
            "output", input_shape[-1], (*input_shape[:-1], self.hidden_dim)
        )
        self.dropout_layer = keras.layers.Dropout(
            self.dropout, seed=self.seed, name="dropout", dtype=self.dtype_policy
        )

    def call(self, inputs, training=None):
        function, gated = ACTIVATIONS[self.activation]
        hidden = self.hidden(inputs)
        hidden = function(self.gate(inputs)) * hidden if gated else function(hidden)
        return self.output_dense(self.dropout_layer(hidden, training=training))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "activation": self.activation,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "kernel_initializer": keras_objects.config(self.kernel_initializer),
            "bias_initializer": keras_objects.config(self.bias_initializer),
            "seed": self.seed,
        }

    def _dense(self, name, width, shape):
        tokens = TOKEN_AXES[: len(shape) - 1]
        return keras_objects.projection(self, name, f"{tokens}i,io->{tokens}o", (width,), shape)
