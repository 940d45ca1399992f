"""The attention layer of Ahn et al. (2024)."""

import keras
from keras import ops

from wdattn import arguments
from wdattn.initializers import Normal

PARAMETRIZATIONS = ("full", "block")
ACTIVATIONS = (None, "softmax")


@keras.saving.register_keras_serializable("wdattn")
class LinearSelfAttention(keras.layers.Layer):
    r"""One step of linear attention over a prompt whose last token is the query.

    $$Z' = Z + \tfrac{1}{n} (Z Q^\top Z^\top) M Z P^\top, \qquad M = \mathrm{diag}(1, \dots, 1, 0)$$

    Ahn et al. (2024), Section 2, with tokens as rows and the paper's P and Q: no softmax, keys and
    queries merged in Q, the projection and the values in P. All tokens are queries, and M keeps the
    last from being a key. The scores, O(n^2 f), are never formed: `Z^T M Z` costs O(n f^2).

    With `activation="softmax"`, the paper's comparison in the form of the authors' code, the scores
    pass through a softmax over the keys before the mask:

    $$Z' = Z + \tfrac{1}{n} \mathrm{softmax}(Z Q^\top Z^\top) M Z P^\top$$

    Each row of the softmax sums to 1 over all n + 1 keys, the query's too, which M then drops: what
    is left is not scaled up again. These scores must be formed.

    The weights are `value` (P) and `key_query` (Q).

    Args:
        parametrization: "full" trains P and Q. "block" is that of the paper's main experiments: it
            trains all but the last row and column, the label's. There P has zeros and a corner 1,
            and Q zeros.
        stddev: float >= 0. Standard deviation of the weights' normal entries at the start.
        seed: int in [0, 2^32), or None: fresh weights every time. A seeded layer must be given a
            `name`: the draw depends on both, and Keras' own names depend on what was built before.
        activation: None or "softmax". What the scores pass through.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, n + 1, f)` float, n >= 1, f >= 2 for "block". A token's last feature is its
            label; that of the query is 0.

    Returns:
        Tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: if an argument is not of this kind, or `inputs` not of this shape.
    """

    def __init__(self, parametrization="full", stddev=0.05, seed=None, activation=None, **kwargs):
        arguments.choice("parametrization", parametrization, PARAMETRIZATIONS)
        arguments.choice("activation", activation, ACTIVATIONS)
        normal = Normal(stddev, seed)  # checks both
        if seed is not None and not kwargs.get("name"):
            raise ValueError(f"`name` must be given with `seed`, got seed {seed!r} and no name")
        super().__init__(**kwargs)
        self.parametrization, self.stddev, self.seed = parametrization, normal.stddev, normal.seed
        self.activation = activation

    def build(self, input_shape):
        self._check(input_shape)
        width = input_shape[-1] - (self.parametrization == "block")
        normal = Normal(self.stddev, self.seed)
        self.value, self.key_query = (
            self.add_weight(name=name, shape=(width, width), initializer=normal.at(self.name, name))
            for name in ("value", "key_query")
        )

    def matrices(self):
        """P and Q, `(f, f)` tensors each, whatever the parametrization."""
        value, key_query = map(ops.convert_to_tensor, (self.value, self.key_query))
        if self.parametrization == "full":
            return value, key_query
        label = ops.one_hot(value.shape[0], value.shape[0] + 1, dtype=value.dtype)
        edge = ((0, 1), (0, 1))
        return ops.pad(value, edge) + ops.outer(label, label), ops.pad(key_query, edge)

    def call(self, inputs):
        self._check(inputs.shape)
        return inputs + self.attend(inputs, inputs)

    def attend(self, queries, tokens):
        """What the layer adds to `queries`, some of the `tokens`, from a look at all of them."""
        value, key_query = self.matrices()
        context = tokens[:, :-1]  # what M keeps
        asked = queries @ ops.transpose(key_query)
        if self.activation is None:
            seen = asked @ ops.einsum("bnf,bng->bfg", context, context)
        else:
            scores = ops.softmax(asked @ ops.transpose(tokens, (0, 2, 1)))
            # M on the tokens: on the scores it would copy the largest array of the layer.
            seen = scores @ ops.pad(context, ((0, 0), (0, 1), (0, 0)))
        return seen @ ops.transpose(value) / ops.cast(ops.shape(context)[1], tokens.dtype)

    def compute_output_shape(self, input_shape):
        self._check(input_shape)
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "parametrization": self.parametrization,
            "stddev": self.stddev,
            "seed": self.seed,
            "activation": self.activation,
        }

    def _check(self, shape):
        shape, least = tuple(shape), 1 + (self.parametrization == "block")
        if len(shape) != 3 or shape[1] in (0, 1) or shape[2] is None or shape[2] < least:
            raise ValueError(
                f"`inputs` must be (batch, n + 1, f) with n >= 1 and f >= {least}, got {shape}"
            )
