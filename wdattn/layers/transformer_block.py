"""Attention and feed-forward, each with its norm, dropout and residual sum."""

import functools

import keras

from wdattn import arguments
from wdattn.layers import keras_objects
from wdattn.layers.feed_forward import FeedForward
from wdattn.layers.query_key_normalization import NORMALIZATIONS


@keras.saving.register_keras_serializable("wdattn")
class TransformerBlock(keras.layers.Layer):
    r"""A transformer block around an attention of your choice.

    $$x \leftarrow x + \mathrm{attention}(\mathrm{norm}(x)), \qquad
    x \leftarrow x + \mathrm{feed\_forward}(\mathrm{norm}(x))$$

    Pre-norm, as Xiong et al. (2020); with `norm_first=False` post-norm, as Vaswani et al. (2017):
    $x \leftarrow \mathrm{norm}(x + \mathrm{attention}(x))$, and the same of the other half. The
    sub-layers are `attention_norm`, `attention`, `feed_forward_norm` and `feed_forward`, where a
    layer that is given keeps its own name.

    Args:
        attention: a layer called as `keras.layers.MultiHeadAttention` is, or a callable that makes
            one from `name` and `dtype`, such as `functools.partial(MultiHeadAttention, 8, 64)`. A
            callable may serve many blocks; a layer that does shares its weights.
        feed_forward: None, for `FeedForward` of four times the features; a layer; or a callable
            that makes one.
        normalization: "layer" or "rms".
        norm_first: bool. Whether a half begins with its norm, or ends with it.
        dropout: float in [0, 1). Share of what a half adds that is set to 0 in training.
        epsilon: float > 0, of the norms.
        seed: int >= 0 or None, of the dropout.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, tokens, features)` float.
        mask: `(batch, tokens)` bool, False at padding; None is Keras' mask of `inputs`.
        attention_mask: as the attention takes it: True where a token may look at a token.
        return_attention_scores: bool. Whether to return the attention's scores too.
        training: bool. Whether dropout acts.
        use_causal_mask: bool. Whether a token looks at none after it.

    Returns:
        Tensor of the shape of `inputs`, or a pair of it and the attention's scores.

    Raises:
        ValueError: if an argument is not of this kind, or `inputs` not of this shape.
    """

    def __init__(
        self,
        attention,
        feed_forward=None,
        normalization="layer",
        norm_first=True,
        dropout=0.0,
        epsilon=1e-5,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.normalization = arguments.choice("normalization", normalization, NORMALIZATIONS)
        self.norm_first = arguments.flag("norm_first", norm_first)
        self.dropout = arguments.real("dropout", dropout, least=0, below=1)
        self.epsilon = arguments.real("epsilon", epsilon, above=0)
        self.seed = arguments.seed_or_none("seed", seed)
        dtype = self.dtype_policy
        make = functools.partial(NORMALIZATIONS[self.normalization], epsilon=self.epsilon)
        self.attention_norm = make(name="attention_norm", dtype=dtype)
        self.attention = keras_objects.layer("attention", attention, dtype)
        self.feed_forward_norm = make(name="feed_forward_norm", dtype=dtype)
        self.feed_forward = None
        if feed_forward is not None:
            self.feed_forward = keras_objects.layer("feed_forward", feed_forward, dtype)
        self._dropouts = [
            keras.layers.Dropout(
                self.dropout,
                # One more for the second, or both would drop alike.
                seed=None if self.seed is None else (self.seed + index) % 2**32,
                name=f"{half}_dropout",
                dtype=dtype,
            )
            for index, half in enumerate(("attention", "feed_forward"))
        ]

    def build(self, input_shape):
        if len(input_shape) != 3 or input_shape[-1] is None:
            raise ValueError(
                f"`inputs` must be (batch, tokens, features), got {tuple(input_shape)}"
            )
        self._transform = self.feed_forward or FeedForward(
            4 * input_shape[-1], name="feed_forward", dtype=self.dtype_policy
        )
        self.attention_norm.build(input_shape)
        self.feed_forward_norm.build(input_shape)
        if not self.attention.built:
            self.attention.build(input_shape, input_shape)
        if not self._transform.built:
            self._transform.build(input_shape)

    def call(
        self,
        inputs,
        mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
    ):
        scored = keras_objects.call_flag("return_attention_scores", return_attention_scores)
        options = {
            "query_mask": mask,
            "value_mask": mask,
            "attention_mask": attention_mask,
            "return_attention_scores": scored or None,
            "use_causal_mask": keras_objects.call_flag("use_causal_mask", use_causal_mask) or None,
        }
        options = {name: value for name, value in options.items() if value is not None}
        tokens = self.attention_norm(inputs) if self.norm_first else inputs
        outputs = self.attention(tokens, tokens, training=training, **options)
        attended, scores = outputs if scored else (outputs, None)
        tokens = inputs + self._dropouts[0](attended, training=training)
        if self.norm_first:
            transformed = self._transform(self.feed_forward_norm(tokens))
        else:
            tokens = self.attention_norm(tokens)
            transformed = self._transform(tokens)
        tokens = tokens + self._dropouts[1](transformed, training=training)
        if not self.norm_first:
            tokens = self.feed_forward_norm(tokens)
        return (tokens, scores) if scored else tokens

    def enable_lora(self, rank, **kwargs):
        """Trains matrices of low rank beside the attention's kernels; all else but their biases is
        frozen.

        Args:
            rank: int >= 1. Of the matrices.
            **kwargs: as of the attention's `enable_lora`.

        Raises:
            ValueError: if the attention has none, the block is not built, or an argument is not of
                its kind.
        """
        if not hasattr(self.attention, "enable_lora"):
            raise ValueError(
                f"`attention` must be a layer with `enable_lora`, got {type(self.attention)}"
            )
        self.attention.enable_lora(rank, **kwargs)
        for layer in (self.attention_norm, self.feed_forward_norm, self._transform):
            layer.trainable = False

    def compute_output_spec(self, inputs, *masks, return_attention_scores=False, **kwargs):
        output = keras.KerasTensor(inputs.shape, self.compute_dtype)
        if not return_attention_scores:
            return output
        return output, self.attention.compute_output_spec(
            inputs, inputs, return_attention_scores=True
        )[1]

    def get_config(self):
        return {
            **super().get_config(),
            "attention": keras_objects.config(self.attention),
            "feed_forward": keras_objects.config(self.feed_forward),
            "normalization": self.normalization,
            "norm_first": self.norm_first,
            "dropout": self.dropout,
            "epsilon": self.epsilon,
            "seed": self.seed,
        }
