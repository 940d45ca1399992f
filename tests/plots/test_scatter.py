import numpy as np
import pytest

from wdattn import plots

STEPS = np.arange(1, 41)


@pytest.fixture
def law(rng):
    """x and y = 3 x^slope for two seeds, slopes 0.5 and 0.7."""
    x = np.exp(rng.normal(size=(2, 40)))
    return x, 3 * x ** np.array([[0.5], [0.7]])


def dots(axes):
    return [np.asarray(group.get_offsets()) for group in axes.collections]


def fits(axes):
    lines = [line.get_xydata() for line in axes.lines if line.get_gid() == "fit"]
    return [(ends[1, 1] - ends[0, 1]) / (ends[1, 0] - ends[0, 0]) for ends in lines]


def test_natural_logarithms_and_the_iterations_colour(law):
    figure = plots.scatter_panels({"A": law}, STEPS)
    axes, bar = figure.axes
    np.testing.assert_allclose(dots(axes)[1], np.log([law[0][1], law[1][1]]).T)
    np.testing.assert_array_equal(axes.collections[0].get_array(), STEPS)
    np.testing.assert_allclose(fits(axes), [0.5, 0.7])
    assert bar.get_ylabel() == "Iteration"
    assert axes.get_xscale() == "linear"


def test_without_a_fit_there_is_no_slope(law):
    figure = plots.scatter_panels({"A": law}, STEPS, fit=False)
    assert not fits(figure.axes[0])
    assert "slope" not in figure.axes[0].get_title("left") + figure.get_supxlabel()


def test_points_without_a_logarithm_are_counted_and_left_out_of_the_line(law):
    x, y = law
    y[0, :3] = -1, 0, np.nan
    x[1, 0] = np.inf
    figure = plots.scatter_panels({"A": (x, y)}, STEPS)
    axes = figure.axes[0]
    assert [len(group) for group in dots(axes)] == [37, 39]
    np.testing.assert_allclose(fits(axes), [0.5, 0.7])
    wanted = "4 of 80 points have no logarithm and are missing here (2 with y at or below 0)."
    assert wanted in " ".join(figure.get_supxlabel().split())


def test_a_seed_without_a_line_is_told():
    x = np.ones((2, 3))
    x[1] = 1, 2, 4
    figure = plots.scatter_panels({"A": (x, x)}, STEPS[:3])
    assert "1 without a slope" in figure.get_supxlabel()
    figure = plots.scatter_panels({"A": (-x, x)}, STEPS[:3])
    assert "no slope" in figure.get_supxlabel()


def test_each_panel_has_its_own_dots_lines_and_slopes(law):
    x, y = law
    figure = plots.scatter_panels({"A": (x[:1], y[:1]), "B": (x, 2 * y)}, STEPS, note="N.")
    left, right, bar = figure.axes
    assert [axes.get_title("left") for axes in (left, right)] == ["A", "B"]
    np.testing.assert_allclose(dots(left)[0], np.log([x[0], y[0]]).T)
    np.testing.assert_allclose(fits(left), [0.5])
    np.testing.assert_allclose(fits(right), [0.5, 0.7])
    wanted = "N. A: slope 0.50. B: slope 0.60 on average, 0.50 to 0.70 over 2 seeds."
    assert figure.get_supxlabel() == wanted and bar.get_ylabel() == "Iteration"


def test_a_panel_counts_what_it_cannot_draw(law):
    x, y = law
    y[0, 0] = -1
    figure = plots.scatter_panels({"A": (x, y)}, STEPS, fit=False)
    wanted = "A: 1 of 80 points have no logarithm and are missing here (1 with y at or below 0)."
    assert " ".join(figure.get_supxlabel().split()) == wanted


@pytest.mark.parametrize(
    "panels",
    [{}, {"A": (np.ones((2, 40)), np.ones((1, 40)))}, {"A": (np.ones((2, 3)), np.ones((2, 3)))}],
)
def test_bad_panels_are_named(panels):
    with pytest.raises(ValueError, match="`panels"):
        plots.scatter_panels(panels, STEPS)


def test_a_panel_may_be_one_array_of_x_and_y(law):
    pair = plots.scatter_panels({"one": law}, STEPS)
    array = plots.scatter_panels({"one": np.array(law)}, STEPS)
    for one, other in zip(dots(pair.axes[0]), dots(array.axes[0]), strict=True):
        np.testing.assert_array_equal(one, other)
