"""Multi-head attention whose factors are open."""

import math

import keras
from keras import ops

from wdattn import arguments
from wdattn.layers.keras_objects import call_flag, float_kernel
from wdattn.layers.projected_attention import ProjectedAttention
from wdattn.ops.attention_factors import AttentionFactors, AttentionProducts
from wdattn.ops.attention_mask import attention_mask as join
from wdattn.ops.attention_mask import for_heads
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
    asked for, and, unless flash attention is wanted, `value_dim` = `key_dim` and not float64. A
    subclass may override `_compute_attention`, as in Keras. A query that may look at nothing then
    gets the mean of all values, as there, and 0 where the scores are formed.

    Args:
        num_heads: int >= 1.
        key_dim: int >= 1. Features of a head's keys and queries, $d_k$; merged, only the scale.
        value_dim: int >= 1. Features of a head's values; None is `key_dim`. Not with merged.
        dropout: float in [0, 1). Share of the scores set to 0 in training.
        use_bias: bool. Whether the projections have biases.
        output_shape: int, or ints. Shape of a token of the output; None is that of the query.
        attention_axes: None or 1, as an int or in a tuple: here inputs have one axis of tokens.
        sliding_window: None, or int >= 1: a query looks at keys less than this many positions away.
        flash_attention: None, for what `keras.config.is_flash_attention_enabled()` says, or bool:
            as for `keras.ops.dot_product_attention`. Not True with dropout, or merged.
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
        use_causal_mask: bool. Whether a query looks at no key after its own position.

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
        if attention_axes is not None and arguments.axes("attention_axes", attention_axes) != (1,):
            raise ValueError(f"`attention_axes` must be None, 1 or (1,), got {attention_axes!r}")
        self.attention_axes = None if attention_axes is None else (1,)
        self.sliding_window = arguments.integer_or_none("sliding_window", sliding_window)
        self.flash_attention = arguments.flag_or_none("flash_attention", flash_attention)
        self.use_gate = arguments.flag("use_gate", use_gate)
        self.parametrization = arguments.choice(
            "parametrization", parametrization, PARAMETRIZATIONS
        )
        if self.parametrization == "merged":
            for name in ("value_dim", "use_gate", "query_key", "flash_attention"):
                if getattr(self, name):
                    raise ValueError(
                        f"`{name}` must be left out with parametrization 'merged', which has no "
                        f"keys and no values of a head, got {getattr(self, name)!r}"
                    )
        if self.flash_attention and self.dropout:
            raise ValueError(f"`dropout` must be 0 with flash_attention=True, got {self.dropout}")
        # As in Keras, what its switch says when the layer is made: None, or False.
        self._flash = self.flash_attention
        if self._flash is None:
            self._flash = keras.config.is_flash_attention_enabled()

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

    def factors(self):
        """The factors of each head as they are now, an `AttentionFactors` of tensors.

        Raises:
            ValueError: if the layer is merged.
        """
        if self.parametrization == "merged":
            raise ValueError("`parametrization` must be 'factored' for factors(), got 'merged'")
        projections = (self._query_dense, self._key_dense, self._value_dense)
        of_heads = [ops.transpose(float_kernel(dense), (1, 0, 2)) for dense in projections]
        return AttentionFactors(*of_heads, ops.swapaxes(self._output_kernel(), 1, 2))

    def products(self):
        """The products of each head as they are now, an `AttentionProducts` of tensors."""
        if self.parametrization == "factored":
            return self.factors().products()
        return AttentionProducts(
            ops.transpose(float_kernel(self._key_query_dense), (1, 2, 0)),
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
        call_flag("return_attention_scores", return_attention_scores)
        causal = call_flag("use_causal_mask", use_causal_mask)
        masks = (query_mask, value_mask, key_mask, attention_mask)
        plain = self.sliding_window is None and all(mask is None for mask in masks)
        overridden = type(self)._compute_attention is not MultiHeadAttention._compute_attention
        options = {}
        if causal and plain and not overridden:  # without a mask in memory
            causal, options = False, {"use_causal_mask": True}
        mask = join(query, value, *masks, causal, self.sliding_window)
        gate = self._gate_dense(query) if self.use_gate else None

        if self.parametrization == "merged":
            query = self._key_query_dense(query)
        else:
            query, key = self._query_dense(query), self._key_dense(key)
            value = self._value_dense(value)
            for layer in self.query_key or ():
                query, key = layer(query, key)
        heads, scores = self._compute_attention(
            query, key, value, mask, training, return_attention_scores, **options
        )
        output = self._output_dense(heads if gate is None else heads * gate)
        return (output, scores) if return_attention_scores else output

    def _compute_attention(
        self,
        query,
        key,
        value,
        attention_mask=None,
        training=None,
        return_attention_scores=False,
        use_causal_mask=False,
    ):
        """What the heads read, and the scores where they are formed, else None.

        As in Keras, a subclass may have its own; then a causal mask is in `attention_mask`.
        """
        if self._flash and return_attention_scores:
            raise ValueError(
                "`return_attention_scores` must be False with flash_attention=True, got True"
            )
        scale = 1 / math.sqrt(self.key_dim)
        # Keras' op fails on JAX for other widths, and rounds float64 there and on PyTorch.
        alike = self.value_dim in (None, self.key_dim) and self.compute_dtype != "float64"
        merged = self.parametrization == "merged"
        if (alike or self._flash) and not (merged or return_attention_scores or self.dropout):
            heads = ops.dot_product_attention(
                query,
                key,
                value,
                mask=for_heads(attention_mask),
                scale=scale,
                is_causal=use_causal_mask,
                flash_attention=self._flash,
            )
            return heads, None
        if use_causal_mask:
            attention_mask = join(query, value, attention_mask=attention_mask, causal=True)
        query = ops.multiply(query, ops.cast(scale, query.dtype))
        scores = attention_scores(query, key, for_heads(attention_mask))
        return weigh(self._dropout_layer(scores, training=training), value), scores

    def _output_kernel(self):
        """`(heads, value_dim, features)`, whatever the shape of an output token."""
        kernel = float_kernel(self._output_dense)
        return ops.reshape(kernel, (*kernel.shape[:2], math.prod(kernel.shape[2:])))
