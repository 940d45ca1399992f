"""Rotary position embedding as a layer between the projections and the scores."""

import keras

from wdattn import arguments
from wdattn.ops.rotary_embedding import rotary_embedding


@keras.saving.register_keras_serializable("wdattn")
class RotaryEmbedding(keras.layers.Layer):
    """Turns projected queries and keys by their positions, as `wdattn.ops.rotary_embedding`.

    Su et al. (2021), in the convention of GPT-NeoX and LLaMA. Given to an attention as
    `query_key=RotaryEmbedding()`. It has no weights; one may serve many attentions.

    Args:
        max_wavelength: float > 0.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        query: `(batch, T, heads, dim)` float, dim even.
        key: `(batch, S, heads, dim)` float.
        positions: None: each counts from 0; an int: that of the first token of both; or those of
            all tokens, `(tokens,)` or `(batch, tokens)` int, where T = S.

    Returns:
        A pair of the shapes of `query` and `key`.

    Raises:
        ValueError: if an argument is not of this kind, or an input not of this shape.
    """

    def __init__(self, max_wavelength=10_000.0, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.max_wavelength = arguments.real("max_wavelength", max_wavelength, above=0)

    def build(self, query_shape, key_shape):
        for name, shape in (("query", query_shape), ("key", key_shape)):
            if len(shape) != 4 or shape[-1] is None or shape[-1] % 2:
                raise ValueError(
                    f"`{name}` must be (batch, tokens, heads, dim) with an even dim, got "
                    f"{tuple(shape)}"
                )

    def call(self, query, key, positions=None):
        return tuple(rotary_embedding(x, positions, self.max_wavelength) for x in (query, key))

    def compute_output_shape(self, query_shape, key_shape):
        return tuple(query_shape), tuple(key_shape)

    def compute_mask(self, inputs, previous_mask):
        return None  # of the query alone: it must not end up on the key as well

    def get_config(self):
        return {**super().get_config(), "max_wavelength": self.max_wavelength}
