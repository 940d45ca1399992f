import numpy as np
import pytest
from keras import ops

from wdattn.ops.positions import cos_sin, token_positions

TOKENS = np.ones((2, 3, 4), "float32")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, [0, 1, 2]),
        (5, [5, 6, 7]),
        (-2, [-2, -1, 0]),
        (np.int64(5), [5, 6, 7]),
        ([5, 0, 1], [5, 0, 1]),
        (np.array([[5, 0, 1], [2, 2, 2]]), [[5, 0, 1], [2, 2, 2]]),
        (np.array([[5, 0, 1]]), [[5, 0, 1]]),
    ],
    ids=str,
)
def test_known_positions_stay_numpy(given, wanted):
    found = token_positions(TOKENS, given)
    assert isinstance(found, np.ndarray) and found.tolist() == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(5, [5, 6, 7]), ([5, 0, 1], [5, 0, 1]), ([[5, 0, 1]], [[5, 0, 1]])],
    ids=str,
)
def test_positions_in_a_tensor(given, wanted):
    found = token_positions(TOKENS, ops.convert_to_tensor(given, "int32"))
    assert ops.convert_to_numpy(found).tolist() == wanted


BAD = [1.5, True, "1", {}, np.nan, [0.0, 1.0, 2.0], [[0], [1, 2]], ["a", "b", "c"], [0, 1]]
BAD += [np.zeros((3, 3), int), np.zeros((1, 2, 3), int), np.array([True, False, True])]


@pytest.mark.parametrize("value", BAD, ids=repr)
def test_bad_positions(value):
    with pytest.raises(ValueError, match="`positions` must be None, an int, or ints of shape"):
        token_positions(TOKENS, value)


def test_a_tensor_of_floats_is_refused():
    with pytest.raises(ValueError, match="`positions` must be .* got shape .* of float32"):
        token_positions(TOKENS, ops.convert_to_tensor([0.0, 1.0, 2.0], "float32"))


def test_angles_of_known_positions_are_exact():
    frequencies = np.array([1.0, 0.1])
    found = [ops.convert_to_numpy(x) for x in cos_sin(np.array([4001]), frequencies, "float64")]
    wanted = [np.cos([[4001, 400.1]]), np.sin([[4001, 400.1]])]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    rounded = cos_sin(ops.convert_to_tensor([4001], "int32"), frequencies, "float32")
    found = [ops.convert_to_numpy(x) for x in rounded]
    np.testing.assert_allclose(found, wanted, atol=1e-3)  # the angle in float32
