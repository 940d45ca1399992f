"""Multi-head attention whose factors are open."""

import math

import keras
from keras import ops

from wdattn import arguments
from wdattn.layers.projected_attention import ProjectedAttention
from wdattn.ops.attention_factors import AttentionFactors, AttentionProducts
from wdattn.ops.attention_mask import attention_mask as join
from wdattn.ops.attention_scores import attention_scores, weigh

PARAMETRIZATIONS = ("factored", "merged")


@keras.saving.register_keras_serializable("wdattn")
class MultiHeadAttention(ProjectedAttention):
    r"""Softmax attention as `keras.layers.MultiHeadAttention`, with its factors open.

    $$\mathrm{out}_i = \sum_h \sum_j \mathrm{softmax}_j\!\left(
    \frac{(W_K^h x_j)^\top W_Q^h x_i}{\sqrt{d_k}}\right) P^h W_V^h x_j$$

    Vaswani et al. (2017), Section 3.2, in the notation of Kobayashi et al. (2024), Section 3. It is
    called as Keras' layer is and has its sub-layers and weights, in name, shape and order: weights
    and weight files pass from one to the other. `factors()` and `products()` give the factors of
    each head and their products, as tensors, also inside of a loss.

    With `parametrization="merged"` the weights are the products: one matrix a head for keys and
    queries, and one for values and output. The functions are those of the factored layer, at full
    rank. Its bias of keys and queries, `(heads, key features)`, is $W_K^\top b_Q$: the softmax does
    not see the terms that no key enters. Its bias of the output is $b_O + \sum_h P^h b_V^h$.

    `keras.ops.dot_product_attention` does the work where it can: factored, no dropout, no scores
    asked for, `value_dim` = `key_dim`, not float64. As in Keras, a query that may look at nothing
    then gets the mean of all values, and 0 where the scores are formed.

    Args:
        num_heads: int >= 1.
        key_dim: int >= 1. Features of a head's keys and queries, $d_k$; merged, only the scale.
        value_dim: int >= 1. Features of a head's values; None is `key_dim`. Not with merged.
        dropout: float in [0, 1). Share of the scores set to 0 in training.
        use_bias: bool. Whether the projections have biases.
        output_shape: int, or ints. Shape of a token of the output; None is that of the query.
        attention_axes: None or 1, as an int or in a tuple: here inputs have one axis of tokens.
        sliding_window: None, or int >= 1: a query looks at keys less than this many places away.
        flash_attention: None, or bool, for `keras.ops.dot_product_attention`.
        kernel_initializer: of the kernels. Those of `wdattn.initializers` draw by path.
        bias_initializer: of the biases.
        kernel_regularizer: of each kernel.
        bias_regularizer: of each bias.
        activity_regularizer: of each projection's output.
        kernel_constraint: of each kernel.
        bias_constraint: of each bias.
        use_gate: bool. Multiplies each head's output by a sigmoid of the query. Not with merged.
        seed: int >= 0 or None, of the dropout.
        parametrization: "factored" or "merged".
        query_key: None, or what the projected queries and keys pass through, one after the other:
            a layer, a callable that makes it from `name` and `dtype` (such as the class
            `RotaryEmbedding`), or a list of these. Called as `query, key = layer(query, key)` on
            `(batch, tokens, heads, key_dim)`. Not with merged, which has none.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        query: `(batch, T, query features)` float.
        value: `(batch, S, value features)` float.
        key: `(batch, S, key features)` float; None is `value`.
        query_mask: `(batch, T)` bool, False at padding; None is Keras' mask of `query`.
        value_mask: `(batch, S)` bool; None is Keras' mask of `value`.
        key_mask: `(batch, S)` bool; None is Keras' mask of `key`.
        attention_mask: `(T, S)`, `(batch, T, S)` or `(batch, heads, T, S)` bool, or axes of 1: True
            where a query may look at a key.
        return_attention_scores: bool. Whether to return the scores too.
        training: bool. Whether dropout acts.
        use_causal_mask: bool. Whether a query looks at no key behind its own place.

    Returns:
        `(batch, T, *output_shape)`, or a pair of it and the scores, `(batch, heads, T, S)`.

    Raises:
        ValueError: if an argument is not of this kind, or an input not of this shape.
    """

    own = ("attention_axes", "sliding_window", "flash_attention", "use_gate", "parametrization")

    def __init__(
        self,
        num_heads,
        key_dim,
        value_dim=None,
        dropout=0.0,
        use_bias=True,
        output_shape=None,
        attention_axes=None,
        sliding_window=None,
        flash_attention=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        use_gate=False,
        seed=None,
        parametrization="factored",
        query_key=None,
        **kwargs,
    ):
        super().__init__(
            {
                "num_heads": num_heads,
                "key_dim": key_dim,
                "value_dim": value_dim,
                "dropout": dropout,
                "use_bias": use_bias,
                "output_shape": output_shape,
                "kernel_initializer": kernel_initializer,
                "bias_initializer": bias_initializer,
                "kernel_regularizer": kernel_regularizer,
                "bias_regularizer": bias_regularizer,
                "activity_regularizer": activity_regularizer,
                "kernel_constraint": kernel_constraint,
                "bias_constraint": bias_constraint,
                "query_key": query_key,
                "seed": seed,
            },
            **kwargs,
        )
        if attention_axes not in (None, 1, (1,), [1]):
            raise ValueError(f"`attention_axes` must be None, 1 or (1,), got {attention_axes!r}")
        self.attention_axes = None if attention_axes is None else (1,)
        self.sliding_window = arguments.integer_or_none("sliding_window", sliding_window)
        if flash_attention not in (None, True, False) or (flash_attention and dropout):
            allowed = "None, True or False, and not True with dropout"
            raise ValueError(f"`flash_attention` must be {allowed}, got {flash_attention!r}")
        self.flash_attention = flash_attention
        self.use_gate = arguments.flag("use_gate", use_gate)
        self.parametrization = arguments.choice(
            "parametrization", parametrization, PARAMETRIZATIONS
        )
        heads = {name: getattr(self, name) for name in ("value_dim", "use_gate", "query_key")}
        for name, given in heads.items():
            if given and parametrization == "merged":
                raise ValueError(
                    f"`{name}` must be left out with parametrization 'merged', which has no keys "
                    f"and no values of a head, got {given!r}"
                )

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        self._check(query_shape, value_shape, key_shape)
        if self.parametrization == "merged":
            width = value_shape[-1]
            self._key_query_dense = self._split("key_query", key_shape[-1], query_shape)
        else:
            width = self.value_dim or self.key_dim
            self._query_dense = self._split("query", self.key_dim, query_shape)
            self._key_dense = self._split("key", self.key_dim, key_shape)
            if self.use_gate:
                self._gate_dense = self._split("gate", width, query_shape, activation="sigmoid")
            self._value_dense = self._split("value", width, value_shape)
            self._build_query_key(query_shape, key_shape)
        self._output_dense = self._joined(width, query_shape)
        self._dropout_layer = keras.layers.Dropout(
            self.dropout, seed=self.seed, name="dropout", dtype=self.dtype_policy
        )

    # Under Keras' own names, in memory and, with the underscore, in weight files.
    query_dense = property(lambda self: self._query_dense, doc="Projects the queries.")
    key_dense = property(lambda self: self._key_dense, doc="Projects the keys.")
    value_dense = property(lambda self: self._value_dense, doc="Projects the values.")
    output_dense = property(lambda self: self._output_dense, doc="Projects what the heads found.")

    def factors(self):
        """The factors of each head as they are now, an `AttentionFactors` of tensors.

        Raises:
            ValueError: if the layer is merged.
        """
        if self.parametrization == "merged":
            raise ValueError("`parametrization` must be 'factored' for factors(), got 'merged'")
        projections = (self._query_dense, self._key_dense, self._value_dense)
        of_heads = [ops.transpose(dense.kernel, (1, 0, 2)) for dense in projections]
        return AttentionFactors(*of_heads, ops.swapaxes(self._output_kernel(), 1, 2))

    def products(self):
        """The products of each head as they are now, an `AttentionProducts` of tensors."""
        if self.parametrization == "factored":
            return self.factors().products()
        return AttentionProducts(
            ops.transpose(self._key_query_dense.kernel, (1, 2, 0)),
            ops.swapaxes(self._output_kernel(), 1, 2),
        )

    def call(
        self,
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
    ):
        key = value if key is None else key
        self._check(query.shape, value.shape, key.shape)
        masks = (query_mask, value_mask, key_mask, attention_mask)
        merged, scale = self.parametrization == "merged", 1 / math.sqrt(self.key_dim)
        fused = not (merged or return_attention_scores or self.dropout)
        # Keras' op fails on JAX for other widths, and rounds float64 there and on PyTorch.
        fused = fused and self.value_dim in (None, self.key_dim) and self.compute_dtype != "float64"
        plain = self.sliding_window is None and all(mask is None for mask in masks)
        kernel_is_causal = fused and plain and use_causal_mask  # without a mask in memory
        causal = use_causal_mask and not kernel_is_causal
        mask = join(query, value, *masks, causal, self.sliding_window)
        gate = self._gate_dense(query) if self.use_gate else None

        if merged:
            query = self._key_query_dense(query)
        else:
            query, key = self._query_dense(query), self._key_dense(key)
            value = self._value_dense(value)
            for layer in self.query_key or ():
                query, key = layer(query, key)
        if fused:
            flags = {"is_causal": kernel_is_causal, "flash_attention": self.flash_attention}
            found = ops.dot_product_attention(query, key, value, mask=mask, scale=scale, **flags)
        else:
            scores = attention_scores(query * ops.cast(scale, query.dtype), key, mask)
            found = weigh(self._dropout_layer(scores, training=training), value)
        output = self._output_dense(found if gate is None else found * gate)
        return (output, scores) if return_attention_scores else output

    def _output_kernel(self):
        """`(heads, value_dim, features)`, whatever the shape of an output token."""
        kernel = self._output_dense.kernel
        return ops.reshape(kernel, (*kernel.shape[:2], math.prod(kernel.shape[2:])))
