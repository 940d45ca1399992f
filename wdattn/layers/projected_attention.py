"""What attention layers with projected heads have in common."""

import keras

from wdattn import arguments
from wdattn.layers import keras_objects

PLAIN = ("num_heads", "key_dim", "value_dim", "dropout", "use_bias", "seed")
OBJECTS = (
    *("kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer"),
    *("kernel_constraint", "bias_constraint", "query_key"),
)


class ProjectedAttention(keras.layers.Layer):
    """Base of the layers that project queries, keys and values to heads, and the heads back.

    A subclass names its own arguments, those of the config as `own`, makes its projections in
    `build` and calls them.

    Args:
        heads: the arguments that the subclasses share, by name; checked and kept here.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if an argument is not of its kind.
    """

    own: tuple[str, ...] = ()

    # Under Keras' own names, in memory and, with the underscore, in weight files.
    query_dense = property(lambda self: self._query_dense, doc="Projects the queries.")
    key_dense = property(lambda self: self._key_dense, doc="Projects the keys.")
    value_dense = property(lambda self: self._value_dense, doc="Projects the values.")
    output_dense = property(lambda self: self._output_dense, doc="Projects what the heads read.")

    def __init__(self, heads, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_heads = arguments.integer("num_heads", heads["num_heads"])
        self.key_dim = arguments.integer("key_dim", heads["key_dim"])
        self.value_dim = arguments.integer_or_none("value_dim", heads["value_dim"])
        self.dropout = arguments.real("dropout", heads["dropout"], least=0, below=1)
        self.use_bias = arguments.flag("use_bias", heads["use_bias"])
        # Not under its own name, which Keras' summary takes for the shape of an output.
        self._output_shape = arguments.shape_or_none("output_shape", heads["output_shape"])
        for check in (
            keras_objects.initializer,
            keras_objects.regularizer,
            keras_objects.constraint,
        ):
            for part in ("kernel", "bias"):
                name = f"{part}_{check.__name__}"
                setattr(self, name, check(name, heads[name]))
        # Under the argument's own name Keras would apply it to this layer's output as well.
        self.projection_regularizer = keras_objects.regularizer(
            "activity_regularizer", heads["activity_regularizer"]
        )
        self.seed = arguments.seed_or_none("seed", heads["seed"])
        self.query_key = keras_objects.layers_or_none(
            "query_key", heads["query_key"], self.dtype_policy
        )

    def enable_lora(
        self,
        rank,
        lora_alpha=None,
        a_initializer="he_uniform",
        b_initializer="zeros",
        projections=None,
    ):
        """Trains matrices of low rank beside the kernels, which are frozen.

        Hu et al. (2021). As `keras.layers.EinsumDense.enable_lora`, on the projections of the
        layer. Their biases go on training; a projection that is not named is frozen.

        Args:
            rank: int >= 1. Of the matrices.
            lora_alpha: float > 0, or None for `rank`. Their product is multiplied by it over
                `rank`.
            a_initializer: of the first matrix.
            b_initializer: of the second one.
            projections: names of projections, such as `("query", "value")`, or None for all.

        Raises:
            ValueError: if the layer is not built, or an argument is not of this kind.
        """
        if not self.built:
            raise ValueError("the layer must be built before `enable_lora` is called, got none")
        dense = {one.name: one for one in self._projections()}
        names = tuple(dense if projections is None else projections)
        if isinstance(projections, str) or not names or not set(names) <= set(dense):
            raise ValueError(
                f"`projections` must be names of {', '.join(dense)}, got {projections!r}"
            )
        settings = {
            "rank": arguments.integer("rank", rank),
            "lora_alpha": arguments.real_or_none("lora_alpha", lora_alpha, above=0),
            "a_initializer": keras_objects.initializer("a_initializer", a_initializer),
            "b_initializer": keras_objects.initializer("b_initializer", b_initializer),
        }
        for name, one in dense.items():
            if name in names:
                one.enable_lora(**settings)
            else:
                one.trainable = False

    def _projections(self):
        parts = ("query", "key", "key_query", "gate", "value", "output")
        dense = (getattr(self, f"_{part}_dense", None) for part in parts)
        return [one for one in dense if one is not None]

    def _split(self, name, width, shape, **kwargs):
        """A projection to heads of a width."""
        sizes = (self.num_heads, width)
        return self._projection(name, "btd,dhk->bthk", sizes, shape, **kwargs)

    def _joined(self, width, query_shape):
        """The projection of heads of a width to the output."""
        sizes = self._outputs(query_shape)
        letters = "xyzuvw"[: len(sizes)]
        heads = (*query_shape[:2], self.num_heads, width)
        return self._projection("attention_output", f"bthd,hd{letters}->bt{letters}", sizes, heads)

    def _projection(self, *place, **kwargs):
        return keras_objects.projection(
            self,
            *place,
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            activity_regularizer=self.projection_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            **kwargs,
        )

    def _build_query_key(self, query_shape, key_shape):
        shapes = [(*s[:2], self.num_heads, self.key_dim) for s in (query_shape, key_shape)]
        for layer in self.query_key or ():
            if not layer.built:  # a call on shapes builds a layer however it is built
                layer(*(keras.KerasTensor(shape, self.compute_dtype) for shape in shapes))

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        self._check(query_shape, value_shape, value_shape if key_shape is None else key_shape)
        return (*query_shape[:-1], *self._outputs(query_shape))

    def compute_output_spec(
        self, query, value, key=None, *masks, return_attention_scores=False, **kwargs
    ):
        shape = self.compute_output_shape(
            query.shape, value.shape, None if key is None else key.shape
        )
        output = keras.KerasTensor(shape, self.compute_dtype)
        if not return_attention_scores:
            return output
        scores = (query.shape[0], self.num_heads, query.shape[1], value.shape[1])
        return output, keras.KerasTensor(scores, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in (*PLAIN, *self.own)},
            **{name: keras_objects.config(getattr(self, name)) for name in OBJECTS},
            "output_shape": self._output_shape,
            "activity_regularizer": keras_objects.config(self.projection_regularizer),
        }

    def _outputs(self, query_shape):
        return self._output_shape or (query_shape[-1],)

    def _check(self, query, value, key):
        for name, shape in (("query", query), ("value", value), ("key", key)):
            if len(shape) != 3 or shape[-1] is None:
                raise ValueError(f"`{name}` must be (batch, tokens, features), got {tuple(shape)}")
        if None not in (value[1], key[1]) and value[1] != key[1]:
            raise ValueError(
                f"`key` must have as many tokens as `value`, got {tuple(key)} and {tuple(value)}"
            )
