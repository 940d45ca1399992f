import numpy as np
import pytest
from keras import ops

from wdattn.layers import QueryKeyNormalization


def literal(kind, x, first, *rest):
    if kind == "rms":
        return first * x / np.sqrt((x**2).mean(-1, keepdims=True) + 0.1)
    centred = x - x.mean(-1, keepdims=True)
    return first * centred / np.sqrt(x.var(-1, keepdims=True) + 0.1) + rest[0]


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_queries_and_keys_are_normalised_by_themselves(rng, kind):
    query, key = rng.normal(size=(2, 5, 3, 4)), 7 + rng.normal(size=(2, 6, 3, 4))
    layer = QueryKeyNormalization(kind, epsilon=0.1, dtype="float64", name="mine")
    layer.build(query.shape, key.shape)
    weights = [rng.normal(size=w.shape) for w in layer.get_weights()]
    layer.set_weights(weights)
    half = len(weights) // 2
    for found, x, own in zip(
        layer(query, key), (query, key), (weights[:half], weights[half:]), strict=True
    ):
        wanted = literal(kind, x, *own)
        np.testing.assert_allclose(ops.convert_to_numpy(found), wanted, rtol=1e-10, atol=1e-10)
    paths = {v.path.rpartition("/")[0] for v in layer.weights}
    assert paths == {"mine/query", "mine/key"}


def test_scores_are_bounded_however_long_queries_are(rng):
    query, key = 1e3 * rng.normal(size=(2, 1, 5, 1, 16))
    query, key = QueryKeyNormalization(dtype="float64")(query, key)
    scores = ops.convert_to_numpy(ops.einsum("bthd,bshd->bhts", query, key))
    assert np.abs(scores).max() <= 16 * (1 + 1e-9)  # Cauchy and Schwarz
