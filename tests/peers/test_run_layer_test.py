"""Keras' `run_layer_test`, which it holds its own layers to, over settings of ours: shapes, dtypes,
masks, configs, a symbolic and an eager call, a training step, mixed precision, and counts of
weights and of losses.
"""

import functools

import keras
import pytest

from wdattn import layers

pytestmark = pytest.mark.filterwarnings("default")  # Keras' test raises warnings of its own

TOKENS, HEADS = (2, 5, 8), (2, 5, 2, 4)
CROSS = {"query_shape": (2, 5, 8), "value_shape": (2, 7, 6)}
ATTENTION = functools.partial(layers.MultiHeadAttention, 2, 4)

SQUARE = {"query_shape": HEADS, "key_shape": HEADS}
IMAGES = (2, 4, 6, 3)
RMS_BLOCK = {"attention": ATTENTION, "normalization": "rms"}
TWO = {"num_heads": 2, "key_dim": 4}

# Class, arguments, shape of the input, shape of the output, weights, losses.
SETTINGS = [
    (layers.FeedForward, {"hidden_dim": 6}, TOKENS, TOKENS, 4, 0),
    (layers.FeedForward, {"hidden_dim": 6, "activation": "swiglu"}, TOKENS, TOKENS, 6, 0),
    (layers.FeedForward, {"hidden_dim": 6, "use_bias": False}, (2, 8), (2, 8), 2, 0),
    (layers.FeedForward, {"hidden_dim": 6, "activation": "relu"}, HEADS, HEADS, 4, 0),
    (layers.LayerNormalization, {}, TOKENS, TOKENS, 2, 0),
    (layers.LayerNormalization, {"axis": (1, 2), "scale": False}, TOKENS, TOKENS, 1, 0),
    (layers.LayerNormalization, {"gamma_regularizer": "l2"}, TOKENS, TOKENS, 2, 1),
    (layers.RMSNormalization, {}, TOKENS, TOKENS, 1, 0),
    (layers.RMSNormalization, {"axis": [1, 2], "epsilon": 0.1}, TOKENS, TOKENS, 1, 0),
    (layers.PatchEmbedding, {"patch_size": 2, "embed_dim": 6}, IMAGES, (2, 6, 6), 2, 0),
    (layers.PatchEmbedding, {"patch_size": (4, 2), "embed_dim": 5}, IMAGES, (2, 3, 5), 2, 0),
    (layers.PositionEmbedding, {"size": 5}, TOKENS, TOKENS, 1, 0),
    (layers.PositionEmbedding, {"kind": "sincos"}, TOKENS, TOKENS, 0, 0),
    (layers.PositionEmbedding, {"size": (1, 5), "kind": "sincos2d"}, TOKENS, TOKENS, 0, 0),
    (layers.LinearSelfAttention, {}, TOKENS, TOKENS, 2, 0),
    (layers.LinearSelfAttention, {"parametrization": "block"}, TOKENS, TOKENS, 2, 0),
    (layers.LinearSelfAttention, {"activation": "softmax"}, TOKENS, TOKENS, 2, 0),
    (layers.MultiHeadAttention, TWO, CROSS, TOKENS, 8, 0),
    (layers.MultiHeadAttention, TWO | {"value_dim": 3}, CROSS, TOKENS, 8, 0),
    (layers.MultiHeadAttention, TWO | {"use_gate": True}, CROSS, TOKENS, 10, 0),
    (layers.MultiHeadAttention, TWO | {"parametrization": "merged"}, CROSS, TOKENS, 4, 0),
    (layers.MultiHeadAttention, TWO | {"kernel_regularizer": "l2"}, CROSS, TOKENS, 8, 4),
    (layers.LinearAttention, TWO, CROSS, TOKENS, 8, 0),
    (layers.LinearAttention, TWO | {"form": "parallel"}, CROSS, TOKENS, 8, 0),
    (layers.LinearAttention, TWO | {"form": "recurrent"}, CROSS, TOKENS, 8, 0),
    (layers.RotaryEmbedding, {}, SQUARE, (HEADS, HEADS), 0, 0),
    (layers.QueryKeyNormalization, {}, SQUARE, (HEADS, HEADS), 2, 0),
    (layers.QueryKeyNormalization, {"normalization": "layer"}, SQUARE, (HEADS, HEADS), 4, 0),
    (layers.TransformerBlock, {"attention": ATTENTION}, TOKENS, TOKENS, 16, 0),
    (layers.TransformerBlock, {"attention": ATTENTION, "norm_first": False}, TOKENS, TOKENS, 16, 0),
    (layers.TransformerBlock, RMS_BLOCK, TOKENS, TOKENS, 14, 0),
]
UNMASKED = {
    layers.PatchEmbedding,  # pixels are no tokens
    layers.LinearSelfAttention,  # every token of a prompt counts
    layers.RotaryEmbedding,
    layers.QueryKeyNormalization,
}


@pytest.mark.parametrize(
    ("cls", "arguments", "given", "wanted", "weights", "losses"),
    SETTINGS,
    ids=[f"{cls.__name__}-{'-'.join(given)}" for cls, given, *_ in SETTINGS],
)
def test_passes_what_keras_asks_of_its_own(cls, arguments, given, wanted, weights, losses):
    keras.src.testing.TestCase().run_layer_test(
        cls,
        arguments,
        input_shape=given,
        expected_output_shape=wanted,
        expected_num_trainable_weights=weights,
        expected_num_non_trainable_weights=0,
        expected_num_losses=losses,
        supports_masking=None if cls in UNMASKED else True,
        run_training_check=not isinstance(given, dict),
    )


def test_every_layer_is_asked():
    assert {cls for cls, *_ in SETTINGS} == {getattr(layers, name) for name in layers.__all__}
