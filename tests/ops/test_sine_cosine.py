import numpy as np
from keras import ops

from wdattn.ops.sine_cosine import sine_cosine, sine_cosine_2d


def test_sines_and_cosines_alternate():
    """Vaswani et al. (2017), entry by entry."""
    found = ops.convert_to_numpy(sine_cosine(np.array([0, 3, 700]), 6, 50.0, "float64"))
    for row, position in enumerate((0, 3, 700)):
        for k in range(3):
            angle = position / 50.0 ** (2 * k / 6)
            wanted = [np.sin(angle), np.cos(angle)]
            np.testing.assert_allclose(found[row, 2 * k : 2 * k + 2], wanted, rtol=1e-10)


def test_positions_of_a_batch():
    positions = np.arange(6).reshape(2, 3)
    found = ops.convert_to_numpy(sine_cosine(positions, 4, 50.0, "float64"))
    one = ops.convert_to_numpy(sine_cosine(positions[1], 4, 50.0, "float64"))
    assert found.shape == (2, 3, 4)
    np.testing.assert_array_equal(found[1], one)


def test_a_grid_goes_row_by_row():
    found = sine_cosine_2d(2, 3, 8, 100.0)
    assert found.shape == (6, 8) and found.dtype == "float64"
    row, column = divmod(4, 3)
    omega = np.array([1.0, 0.01])
    angles = column * omega, row * omega
    wanted = [function(angle) for angle in angles for function in (np.sin, np.cos)]
    np.testing.assert_allclose(found[4], np.concatenate(wanted), rtol=1e-12)
