"""Multi-head attention without a softmax over keys, at a cost linear in the number of tokens."""

import keras
from keras import ops

from wdattn.layers import arguments
from wdattn.layers.key_masks import key_masks
from wdattn.layers.projection import projection
from wdattn.ops import linear_attention, linear_attention_scores
from wdattn.ops.feature_maps import feature_map_of
from wdattn.ops.linear_attention import FORMS

PLAIN = (
    *("num_heads", "key_dim", "value_dim", "dropout", "use_bias"),
    *("normalize", "form", "chunk_size", "seed"),
)
OBJECTS = (
    *("kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer"),
    *("kernel_constraint", "bias_constraint", "query_key"),
)


@keras.saving.register_keras_serializable("wdattn")
class LinearAttention(keras.layers.Layer):
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
        chunk_size=128,
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
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_heads = arguments.integer("num_heads", num_heads)
        self.key_dim = arguments.integer("key_dim", key_dim)
        self.value_dim = arguments.integer_or_none("value_dim", value_dim)
        self.dropout = arguments.rate("dropout", dropout)
        self.use_bias = arguments.flag("use_bias", use_bias)
        # Not under its own name, which Keras' summary takes for the shape of an output.
        self._output_shape = arguments.shape_or_none("output_shape", output_shape)
        if isinstance(feature_map, dict):  # a config
            feature_map = keras.saving.deserialize_keras_object(feature_map)
        feature_map_of(feature_map)
        self.feature_map = feature_map
        self.normalize = arguments.flag("normalize", normalize)
        self.form = arguments.choice("form", form, tuple(FORMS))
        self.chunk_size = arguments.integer("chunk_size", chunk_size)
        self.query_key = arguments.layers_or_none("query_key", query_key, self.dtype_policy)
        self.kernel_initializer = arguments.initializer("kernel_initializer", kernel_initializer)
        self.bias_initializer = arguments.initializer("bias_initializer", bias_initializer)
        self.kernel_regularizer = arguments.regularizer("kernel_regularizer", kernel_regularizer)
        self.bias_regularizer = arguments.regularizer("bias_regularizer", bias_regularizer)
        # Under the argument's own name Keras would apply it to this layer's output as well.
        self.projection_regularizer = arguments.regularizer(
            "activity_regularizer", activity_regularizer
        )
        self.kernel_constraint = arguments.constraint("kernel_constraint", kernel_constraint)
        self.bias_constraint = arguments.constraint("bias_constraint", bias_constraint)
        self.seed = arguments.integer_or_none("seed", seed, least=0)

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        self._check(query_shape, value_shape, key_shape)
        heads, width = self.num_heads, self.value_dim or self.key_dim

        def split(name, width, shape):
            return projection(self, name, "btd,dhk->bthk", (None, heads, width), shape)

        self.query_dense = split("query", self.key_dim, query_shape)
        self.key_dense = split("key", self.key_dim, key_shape)
        self.value_dense = split("value", width, value_shape)
        noise = (None, None, None, 1)  # all of a key's value at once: its score
        self._dropout_layer = keras.layers.Dropout(
            self.dropout, noise, self.seed, name="dropout", dtype=self.dtype_policy
        )
        outputs = self._outputs(query_shape)
        letters = "xyzuvw"[: len(outputs)]
        self.output_dense = projection(
            self,
            "attention_output",
            f"bthd,hd{letters}->bt{letters}",
            (None, *outputs),
            (*query_shape[:2], heads, width),
        )
        shapes = [(*shape[:2], heads, self.key_dim) for shape in (query_shape, key_shape)]
        for layer in self.query_key or ():
            if not layer.built:  # a call on shapes builds a layer however it is built
                layer(*(keras.KerasTensor(shape, self.compute_dtype) for shape in shapes))

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
        parallel = self.form == "parallel" or return_attention_scores
        mask, key_mask = key_masks(value_mask, key_mask, attention_mask, pairs=parallel)
        query, key = self.query_dense(query), self.key_dense(key)
        for layer in self.query_key or ():
            query, key = layer(query, key)
        value = self._dropout_layer(self.value_dense(value), training=training)
        settings = {
            "feature_map": self.feature_map,
            "causal": use_causal_mask,
            "normalize": self.normalize,
            "query_mask": query_mask,
            "key_mask": key_mask,
            "mask": mask,
        }
        if return_attention_scores:
            scores = linear_attention_scores(query, key, **settings)
            found = ops.einsum("bhts,bshv->bthv", scores, value)
            return self.output_dense(found), scores
        forms = {"form": self.form, "chunk_size": self.chunk_size}
        return self.output_dense(linear_attention(query, key, value, **settings, **forms))

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        self._check(query_shape, value_shape, value_shape if key_shape is None else key_shape)
        return (*query_shape[:2], *self._outputs(query_shape))

    def compute_output_spec(
        self, query, value, key=None, *args, return_attention_scores=False, **kwargs
    ):
        shape = self.compute_output_shape(query.shape, value.shape, key and key.shape)
        spec = keras.KerasTensor(shape, self.compute_dtype)
        if not return_attention_scores:
            return spec
        shape = (query.shape[0], self.num_heads, query.shape[1], value.shape[1])
        return spec, keras.KerasTensor(shape, self.compute_dtype)

    def _outputs(self, query_shape):
        return (query_shape[-1],) if self._output_shape is None else self._output_shape

    def _check(self, query_shape, value_shape, key_shape):
        for name, shape in (("query", query_shape), ("value", value_shape), ("key", key_shape)):
            if len(shape) != 3 or shape[-1] is None:
                raise ValueError(f"`{name}` must be (batch, tokens, features), got {tuple(shape)}")
        if None not in (value_shape[1], key_shape[1]) and value_shape[1] != key_shape[1]:
            raise ValueError(
                f"`key` must have the tokens of `value`, {value_shape[1]}, got {tuple(key_shape)}"
            )

    def get_config(self):
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in PLAIN},
            **{name: arguments.config(getattr(self, name)) for name in OBJECTS},
            "feature_map": keras.saving.serialize_keras_object(self.feature_map),
            "output_shape": self._output_shape,
            "activity_regularizer": arguments.config(self.projection_regularizer),
        }
