"""Multi-head attention without a softmax over keys, at a cost linear in the number of tokens."""

import keras
from keras import ops

from wdattn import arguments
from wdattn.layers.keras_objects import call_flag, from_keras_config
from wdattn.layers.projected_attention import ProjectedAttention
from wdattn.ops import Chunked, linear_attention, linear_attention_scores
from wdattn.ops.attention_mask import attention_mask as join
from wdattn.ops.attention_mask import for_heads
from wdattn.ops.feature_maps import feature_map_of
from wdattn.ops.linear_attention import FORMS


@keras.saving.register_keras_serializable("wdattn")
class LinearAttention(ProjectedAttention):
    r"""Multi-head linear attention, called like `keras.layers.MultiHeadAttention`.

    $$\mathrm{head}_h = \mathrm{LinearAttention}(X W^Q_h, X W^K_h, X W^V_h), \qquad
      Y = \sum_h \mathrm{head}_h W^O_h$$

    with the heads of `wdattn.ops.linear_attention`, Katharopoulos et al. (2020). In place of
    `keras.layers.MultiHeadAttention` it has the same sub-layers, variable paths and kernel shapes,
    and `set_weights` takes its weights. Its kernels start as Keras' do; an initializer of
    `wdattn.initializers` with a seed gives one start on every backend, another one for each kernel,
    if the layer has a `name` of its own.

    Masks are those of the Keras layer. A key that `value_mask` or `key_mask` leaves out is never
    seen; a query that `query_mask` leaves out finds 0, and its output is the bias. An
    `attention_mask` that differs from query to query needs `form="parallel"`.

    Args:
        num_heads: int >= 1.
        key_dim: int >= 1. Width of queries and keys in a head.
        value_dim: int >= 1, or None for `key_dim`. Width of values in a head.
        dropout: float in [0, 1). Share of the keys whose scores are dropped, for each head, before
            the values are summed. All queries lose the same keys: scores are not formed one by one.
        use_bias: bool.
        output_shape: int or tuple of ints, or None for the width of `query`: what a token becomes.
        feature_map: as for `wdattn.ops.linear_attention`.
        normalize: bool. Whether to divide by the sum of the scores.
        form: "parallel", "chunked" or "recurrent", as for `wdattn.ops.linear_attention`.
        chunk_size: int >= 1. Tokens in a chunk, at most.
        query_key: None, or what the projected queries and keys pass through before their feature
            map, as for `MultiHeadAttention`: a layer, a callable that makes it from `name` and
            `dtype`, or a list of these. Called as `query, key = layer(query, key)`.
        kernel_initializer: as for `keras.layers.Dense`, like all that follows.
        bias_initializer: of the four biases.
        kernel_regularizer: of the four kernels, or None.
        bias_regularizer: of the four biases, or None.
        activity_regularizer: of each projection's output, or None.
        kernel_constraint: of the four kernels, or None.
        bias_constraint: of the four biases, or None.
        seed: int or None. Of the dropout.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        query: `(batch, queries, features)` float.
        value: `(batch, keys, features)` float.
        key: `(batch, keys, features)` float, or None for `value`.
        query_mask: bool, `(batch, queries)`, or None. By default the query's own Keras mask, which
            the output carries on.
        value_mask: bool, `(batch, keys)`, or None. By default the value's own.
        key_mask: bool, `(batch, keys)`, or None. By default the key's own.
        attention_mask: bool, broadcastable to `(batch, queries, keys)` or `(batch, heads, queries,
            keys)`, or None. Unless `form` is "parallel", its `queries` and `heads` are 1.
        return_attention_scores: bool. Scores take O(queries * keys), whatever `form` is.
        training: bool or None. Whether to drop.
        use_causal_mask: bool. Whether query i sees keys 0 to i only.

    Returns:
        `(batch, queries, features)`, or `output_shape` for `features`; with
        `return_attention_scores` a pair of it and the scores, `(batch, heads, queries, keys)`,
        without dropout.

    Raises:
        ValueError: if an argument is not of this kind.
    """

    own = ("normalize", "form", "chunk_size")

    def __init__(
        self,
        num_heads,
        key_dim,
        value_dim=None,
        dropout=0.0,
        use_bias=True,
        output_shape=None,
        feature_map="elu",
        normalize=True,
        form="chunked",
        chunk_size=64,
        query_key=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        seed=None,
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
        if isinstance(feature_map, dict):  # a config
            feature_map = keras.saving.deserialize_keras_object(feature_map)
        feature_map_of(feature_map)
        self.feature_map = feature_map
        self.normalize = arguments.flag("normalize", normalize)
        self.form = arguments.choice("form", form, tuple(FORMS))
        self.chunk_size = arguments.integer("chunk_size", chunk_size)

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        self._check(query_shape, value_shape, key_shape)
        width = self.value_dim or self.key_dim
        self._query_dense = self._split("query", self.key_dim, query_shape)
        self._key_dense = self._split("key", self.key_dim, key_shape)
        self._value_dense = self._split("value", width, value_shape)
        noise = (None, None, None, 1)  # all of a key's value at once: its score
        self._dropout_layer = keras.layers.Dropout(
            self.dropout, noise, self.seed, name="dropout", dtype=self.dtype_policy
        )
        self._output_dense = self._joined(width, query_shape)
        self._build_query_key(query_shape, key_shape)

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
        queries = for_heads(join(query, value, query_mask))  # (batch, 1, queries, 1)
        mask = for_heads(join(query, value, None, value_mask, key_mask, attention_mask))
        parallel = self.form == "parallel" or return_attention_scores
        if not parallel and mask is not None and tuple(mask.shape[1:3]) != (1, 1):
            raise ValueError(
                "`attention_mask` must be the same for all queries and heads, (batch, 1, keys), "
                f"unless `form` is 'parallel', got shape {tuple(attention_mask.shape)}"
            )
        query, key = self._query_dense(query), self._key_dense(key)
        for layer in self.query_key or ():
            query, key = layer(query, key)
        value = self._dropout_layer(self._value_dense(value), training=training)
        settings = {
            "feature_map": self.feature_map,
            "causal": call_flag("use_causal_mask", use_causal_mask),
            "normalize": self.normalize,
            "mask": mask,
        }
        if return_attention_scores:
            scores = _where(queries, linear_attention_scores(query, key, **settings))
            return self._output_dense(ops.einsum("bhts,bshv->bthv", scores, value)), scores
        form = Chunked(self.chunk_size) if self.form == "chunked" else self.form
        heads = linear_attention(query, key, value, form=form, **settings)
        queries = None if queries is None else ops.swapaxes(queries, 1, 2)
        return self._output_dense(_where(queries, heads))

    @classmethod
    def from_config(cls, config):
        neutral = {
            "attention_axes": (None, 1, (1,), [1]),
            "sliding_window": (None,),
            "use_gate": (False,),
        }
        return super().from_config(from_keras_config(config, neutral))

    def get_config(self):
        feature_map = keras.saving.serialize_keras_object(self.feature_map)
        return {**super().get_config(), "feature_map": feature_map}


def _where(queries, x):
    """`x` where a mask of queries holds, else 0."""
    return x if queries is None else ops.where(queries, x, ops.zeros((), dtype=x.dtype))
