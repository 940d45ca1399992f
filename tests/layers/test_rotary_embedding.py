import keras
import numpy as np
import pytest
from keras import ops

from wdattn.layers import RotaryEmbedding
from wdattn.ops import rotary_embedding


@pytest.mark.parametrize("positions", [None, 3, [4, 0, 9, 2, 1]], ids=str)
def test_turns_queries_and_keys_alike(rng, positions):
    query, key = rng.normal(size=(2, 2, 5, 3, 4))
    layer = RotaryEmbedding(50.0, dtype="float64")
    options = {} if positions is None else {"positions": positions}
    for found, x in zip(layer(query, key, **options), (query, key), strict=True):
        wanted = rotary_embedding(x, positions, 50.0)
        # A list becomes a tensor of Keras, whose sine is a float32 on JAX.
        np.testing.assert_allclose(*map(ops.convert_to_numpy, (found, wanted)), atol=1e-5)
    assert not layer.weights


def test_is_built_by_keyword():
    layer = RotaryEmbedding()
    layer.build(query_shape=(2, 5, 3, 4), key_shape=(2, 6, 3, 4))
    assert layer.built


@pytest.mark.parametrize("shape", [(2, 5, 3, 5), (2, 5, 4), (2, 5, 3, None)], ids=str)
@pytest.mark.parametrize("name", ["query", "key"])
def test_bad_shapes(shape, name):
    shapes = {"query_shape": (2, 5, 3, 4), "key_shape": (2, 6, 3, 4), f"{name}_shape": shape}
    with pytest.raises(ValueError, match=f"`{name}` must be .* with an even dim, got"):
        RotaryEmbedding().build(**shapes)


def test_a_mask_of_queries_does_not_reach_the_keys():
    heads = keras.KerasTensor((2, 5, 3, 4))
    assert RotaryEmbedding().compute_mask((heads, heads), np.ones((2, 5), bool)) is None
