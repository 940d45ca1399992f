"""Normalisation of projected queries and keys."""

import keras

from wdattn import arguments
from wdattn.layers.layer_normalization import LayerNormalization
from wdattn.layers.rms_normalization import RMSNormalization

NORMALIZATIONS = {"layer": LayerNormalization, "rms": RMSNormalization}


@keras.saving.register_keras_serializable("wdattn")
class QueryKeyNormalization(keras.layers.Layer):
    """Normalises each head's queries and keys, so that no score outgrows the others.

    Dehghani et al. (2023), Section 2.1, with layer norms; most language models take RMS norms. The
    sub-layers `query` and `key` have one weight for each of a head's features, all heads share it.
    Given to an attention as `query_key=QueryKeyNormalization`, the class, for it needs one of its
    own.

    Args:
        normalization: "rms" or "layer".
        epsilon: float > 0.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        query: `(batch, T, heads, dim)` float.
        key: `(batch, S, heads, dim)` float.

    Returns:
        A pair of the shapes of `query` and `key`.

    Raises:
        ValueError: if an argument is not of this kind.
    """

    def __init__(self, normalization="rms", epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.normalization = arguments.choice("normalization", normalization, NORMALIZATIONS)
        self.epsilon = arguments.real("epsilon", epsilon, above=0)
        make = NORMALIZATIONS[self.normalization]
        self.query, self.key = (
            make(epsilon=self.epsilon, name=name, dtype=self.dtype_policy)
            for name in ("query", "key")
        )

    def build(self, query_shape, key_shape):
        self.query.build(query_shape)
        self.key.build(key_shape)

    def call(self, query, key):
        return self.query(query), self.key(key)

    def compute_output_shape(self, query_shape, key_shape):
        return tuple(query_shape), tuple(key_shape)

    def compute_mask(self, inputs, previous_mask):
        return None  # of the query alone: it must not end up on the key as well

    def get_config(self):
        return {
            **super().get_config(),
            "normalization": self.normalization,
            "epsilon": self.epsilon,
        }
