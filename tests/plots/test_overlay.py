import numpy as np
import pytest

from wdattn import plots

STEPS = np.arange(0, 500, 100)


def lines(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


@pytest.fixture
def values(rng):
    return np.exp(rng.normal(size=(4, 5)))


def test_largest_distance_is_the_one_over_seeds_and_pairs():
    a = np.array([[1.0, 2.0], [1.0, 4.0]])
    near, far = a * (1 + 1e-6), a.copy()
    far[1, 1] = 5.0
    found = plots.largest_distance({"jax": a, "tensorflow": near, "torch": far})
    np.testing.assert_allclose(found, [1e-6, 0.2], rtol=1e-5)


def test_largest_distance_where_a_number_is_not_finite():
    a = np.array([[np.nan, np.inf, 1.0, 0.0, 1.0]])
    b = np.array([[np.nan, np.inf, np.nan, 0.0, np.inf]])
    found = plots.largest_distance({"jax": a, "torch": b})
    np.testing.assert_array_equal(found, [0, 0, np.inf, 0, np.inf])


@pytest.mark.parametrize("backends", [{"jax": np.ones((1, 2))}, {}])
def test_a_distance_needs_two_backends(backends):
    with pytest.raises(ValueError, match="`backends`"):
        plots.largest_distance(backends)


def test_a_distance_needs_the_same_seeds():
    with pytest.raises(ValueError, match="of one shape"):
        plots.largest_distance({"jax": np.ones((2, 2)), "torch": np.ones((1, 2))})


def test_the_overlay_draws_every_seed_and_prints_first_and_last_distance(values):
    other = values.copy()
    other[0, -1] *= 1.25
    other[1, 0] *= 1 + 1e-6
    figure = plots.backend_overlay(STEPS, {"SGDM": {"jax": values, "torch": other}})
    upper, lower = figure.axes
    drawn = [line for line in upper.lines if len(line.get_xdata())]
    assert len(drawn) == 2 * len(values)
    assert upper.get_yscale() == lower.get_yscale() == "log"
    assert {text.get_text() for text in upper.get_legend().get_texts()} == {"jax", "torch"}
    assert {"1.0e-06", "0.20"} == {text.get_text() for text in lower.texts}
    note = "SGDM: largest distance 1.0e-06 at step 0, 0.20 at step 400."
    assert note in figure.get_supxlabel()


def test_equal_curves_are_called_equal_to_the_bit(values):
    figure = plots.backend_overlay(STEPS, {"SGDM": {"jax": values, "torch": values}})
    assert "none (equal to the bit) at step 0" in figure.get_supxlabel()
    assert list(lines(figure.axes[1], "rug")[0].get_xdata()) == list(STEPS)


def test_an_overlay_without_arms_is_refused():
    with pytest.raises(ValueError, match="`series`"):
        plots.backend_overlay(STEPS, {})
