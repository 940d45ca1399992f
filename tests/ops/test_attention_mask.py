import numpy as np
import pytest
from keras import ops

from wdattn.ops.attention_mask import attention_mask, for_heads


def literal(t, s, query=None, value=None, key=None, given=None, causal=False, window=None):
    """Query by query and key by key."""
    allowed = np.ones((2, 3, t, s), bool)
    for b, h, i, j in np.ndindex(allowed.shape):
        tests = [
            query is None or query[b, i],
            value is None or value[b, j],
            key is None or key[b, j],
            given is None or np.broadcast_to(given, allowed.shape)[b, h, i, j],
            not causal or j <= i,
            window is None or abs(i - j) < window,
        ]
        allowed[b, h, i, j] = all(tests)
    return allowed


@pytest.mark.parametrize("shape", [(4, 5), (2, 4, 5), (2, 3, 4, 5), (2, 1, 1, 5)], ids=str)
@pytest.mark.parametrize(("causal", "window"), [(False, None), (True, None), (True, 2), (False, 2)])
def test_all_masks_must_allow(rng, shape, causal, window):
    query, value, key = (rng.random((2, n)) < 0.7 for n in (4, 5, 5))
    given = rng.random(shape) < 0.7
    tokens = np.zeros((2, 4, 1)), np.zeros((2, 5, 1))
    found = attention_mask(*tokens, query, value, key, given, causal, window)
    assert len(found.shape) == max(given.ndim, 3)  # as Keras' own, which subclasses get
    found = np.broadcast_to(ops.convert_to_numpy(for_heads(found)), (2, 3, 4, 5))
    batched = given[:, None] if given.ndim == 3 else given
    wanted = literal(4, 5, query, value, key, batched, causal, window)
    np.testing.assert_array_equal(found, wanted)


def test_no_mask_is_none():
    assert attention_mask(np.zeros((2, 4, 1)), np.zeros((2, 5, 1))) is None
    assert for_heads(None) is None


@pytest.mark.parametrize(
    ("name", "shape"),
    [("query_mask", (4,)), ("value_mask", (2, 5, 1)), ("key_mask", (5,)), ("attention_mask", (5,))],
)
def test_masks_of_another_rank(name, shape):
    tokens = np.zeros((2, 4, 1)), np.zeros((2, 5, 1))
    with pytest.raises(ValueError, match=f"`{name}` must be .*, got shape"):
        attention_mask(*tokens, **{name: np.ones(shape, bool)})
