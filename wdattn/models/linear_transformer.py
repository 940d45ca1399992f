"""The model of Ahn et al. (2024)."""

import keras

from wdattn import arguments
from wdattn.initializers import Normal
from wdattn.layers import LinearSelfAttention
from wdattn.ops import gram_recursion


@keras.saving.register_keras_serializable("wdattn")
class LinearTransformer(keras.Model):
    r"""A stack of linear self-attention that reads a regression task off its prompt.

    $$\mathrm{TF}(Z_0) = -[Z_L]_{\text{query, label}}, \qquad
    Z_{l+1} = Z_l + \tfrac{1}{n} (Z_l Q_l^\top Z_l^\top) M Z_l P_l^\top$$

    Ahn et al. (2024), Section 2 (note the minus); the layers are `LinearSelfAttention`, named
    `attention_0` to `attention_{L-1}`, and built at once. Only the query's label is read, so the
    prompt passes through `wdattn.ops.gram_recursion`: the same function at a cost a layer that does
    not depend on the length of the prompt. With "block" the last layer's `value` has no influence.

    With `activation="softmax"`, the paper's comparison, the scores pass through the softmax of
    `LinearSelfAttention`. Then there is no such shortcut: the layers run one by one.

    Args:
        depth: int >= 1. Layers, L.
        dim: int >= 1. Covariates of a token.
        parametrization: "block" trains `(dim, dim)` blocks of P and Q, 150 numbers at the default
            sizes; "full" trains all their `(dim + 1, dim + 1)` entries.
        stddev: float >= 0. Standard deviation of the weights' normal entries at the start.
        seed: int in [0, 2^32), or None: fresh weights every time. The start depends on the seed
            alone, not on the backend; no two layers share a draw.
        activation: None or "softmax". What the scores of each layer pass through.
        **kwargs: arguments of `keras.Model`.

    Call arguments:
        inputs: `(batch, n + 1, dim + 1)` float, n >= 1, as `wdattn.data.in_context_regression`
            makes them: the last token is the query, with 0 in place of its label, the last feature.

    Returns:
        `(batch, 1)`, dtype of `inputs`: the prediction of the query's label.

    Raises:
        ValueError: if an argument is not of this kind, or `inputs` not of this shape.

    Examples:
        >>> model = LinearTransformer(depth=3, dim=5, seed=0)
        >>> model.count_params(), tuple(model.layers[0].value.shape)
        (150, (5, 5))
    """

    def __init__(
        self,
        depth=3,
        dim=5,
        parametrization="block",
        stddev=0.05,
        seed=None,
        activation=None,
        **kwargs,
    ):
        depth, dim = arguments.integer("depth", depth), arguments.integer("dim", dim)
        normal = Normal(stddev, seed)  # checks both
        super().__init__(**kwargs)
        self.depth, self.dim, self.parametrization = depth, dim, parametrization
        self.stddev, self.seed, self.activation = normal.stddev, normal.seed, activation
        self._attention = [
            LinearSelfAttention(
                parametrization,
                stddev,
                seed,
                activation,
                name=f"attention_{layer}",
                dtype=self.dtype_policy,
            )
            for layer in range(depth)
        ]
        self.build((None, None, dim + 1))

    def build(self, input_shape):
        for layer in self._attention:
            if not layer.built:  # Keras builds a loaded model once more
                layer.build(input_shape)

    def call(self, inputs):
        self.compute_output_shape(inputs.shape)
        if self.activation is not None:
            return self._layer_by_layer(inputs)
        values, key_queries = zip(*(layer.matrices() for layer in self._attention), strict=True)
        return -gram_recursion(inputs, values, key_queries)[:, -1:]

    def _layer_by_layer(self, tokens):
        *layers, last = self._attention
        for layer in layers:
            tokens = layer(tokens)
        query = tokens[:, -1:]  # of the last layer nothing else is read
        return -(query + last.attend(query, tokens))[:, 0, -1:]

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        if len(shape) != 3 or shape[1] in (0, 1) or shape[2] != self.dim + 1:
            raise ValueError(
                f"`inputs` must be (batch, n + 1, {self.dim + 1}) with n >= 1, got {shape}"
            )
        return shape[0], 1

    def get_config(self):
        return {
            **super().get_config(),
            "depth": self.depth,
            "dim": self.dim,
            "parametrization": self.parametrization,
            "stddev": self.stddev,
            "seed": self.seed,
            "activation": self.activation,
        }
