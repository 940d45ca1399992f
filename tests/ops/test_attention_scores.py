import keras
import numpy as np
import pytest
from keras import ops

from wdattn.ops.attention_scores import attention_scores, weigh


def literal(query, key, mask):
    """Query by query, head by head."""
    scores = np.zeros((len(query), query.shape[2], query.shape[1], key.shape[1]))
    for b, h, i in np.ndindex(scores.shape[:3]):
        keys = key[b, :, h] if key.ndim == 4 else key[b]
        allowed = np.exp(keys @ query[b, i, h]) * mask[b, h, i]
        scores[b, h, i] = allowed / allowed.sum() if mask[b, h, i].any() else 0
    return scores


@pytest.mark.parametrize("shared", [False, True], ids=["a key a head", "one key for all heads"])
def test_equals_the_literal_softmax(rng, shared):
    query = rng.normal(size=(2, 4, 3, 5))
    key, value = rng.normal(size=(2, 2, 6, 3, 5))
    key, value = (key[:, :, 0], value[:, :, 0]) if shared else (key, value)
    mask = rng.random((2, 3, 4, 6)) < 0.5
    mask[1, 2, 3] = False  # a query that may look at nothing
    scores = attention_scores(query, key, mask)
    wanted = literal(query, key, mask)
    np.testing.assert_allclose(ops.convert_to_numpy(scores), wanted, rtol=1e-10, atol=1e-12)
    found = ops.convert_to_numpy(weigh(scores, ops.convert_to_tensor(value)))
    values = np.broadcast_to(value[:, :, None], (2, 6, 3, 5)) if shared else value
    wanted = np.einsum("bhts,bshd->bthd", wanted, values)
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_is_summed_in_float32(rng, dtype):
    """4,096 equal scores: summed in bfloat16 the weights would not be 1 / 4,096."""
    query, key = ops.zeros((1, 1, 1, 2), dtype), ops.zeros((1, 4096, 1, 2), dtype)
    scores = attention_scores(query, key)
    assert keras.backend.standardize_dtype(scores.dtype) == dtype
    found = ops.convert_to_numpy(ops.cast(scores, "float32"))
    np.testing.assert_array_equal(found, np.full((1, 1, 1, 4096), 1 / 4096, "float32"))
