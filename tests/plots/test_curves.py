import numpy as np
import pytest

from wdattn import plots

STEPS = np.arange(0, 500, 100)


def lines(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def band(axes):
    """Lower and upper edge of the first band, at each step."""
    corners = axes.collections[0].get_paths()[0].vertices
    return [
        (corners[corners[:, 0] == x, 1].min(), corners[corners[:, 0] == x, 1].max()) for x in STEPS
    ]


@pytest.fixture
def values(rng):
    return np.exp(rng.normal(size=(4, 5)))


@pytest.mark.parametrize("name, share", [("sd", 1), ("sd/2", 0.5), ("sd/4", 0.25)])
def test_mean_and_band_are_those_over_seeds(values, name, share):
    (axes,) = plots.curves(STEPS, {"Adam": values}, band=name).axes
    (mean,) = lines(axes, "mean")
    np.testing.assert_allclose(mean.get_ydata(), values.mean(0))
    half = share * values.std(0, ddof=1)
    edges = np.stack([values.mean(0) - half, values.mean(0) + half], 1)
    np.testing.assert_allclose(band(axes), edges)


def test_axes_labels_and_marks(values):
    figure = plots.curves(
        STEPS,
        {"SGDM": values, "Adam": values / 10},
        ylabel="Loss of a batch",
        marks={250: "here"},
        note="Where from.",
    )
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Iteration", "Loss of a batch")
    assert {text.get_text() for text in axes.texts} == {"SGDM", "Adam", "here"}
    assert any(list(line.get_xdata()) == [250, 250] for line in axes.lines)
    assert figure.get_supxlabel() == "Where from. Line: mean over 4 seeds; band: ± sd/4."


def test_one_seed_has_no_band(values):
    figure = plots.curves(STEPS, {"Adam": values[:1]})
    assert not figure.axes[0].collections
    assert figure.get_supxlabel() == ""


def test_a_linear_axis_shows_negative_points(values):
    figure = plots.curves(STEPS, {"Adam": -values}, log=False, band=None)
    assert figure.axes[0].get_yscale() == "linear"
    assert not lines(figure.axes[0], "rug") and "negative" not in figure.get_supxlabel()


def test_negative_points_are_marked_counted_and_kept_in_the_mean(values):
    values[0, 1] = -0.01
    values[2, [1, 3]] = 0
    figure = plots.curves(STEPS, {"SGDM": values})
    (axes,) = figure.axes
    (rug,) = lines(axes, "rug")
    assert list(rug.get_xdata()) == [100, 300]
    assert "SGDM: 3 of 20 points are 0 or negative" in figure.get_supxlabel()
    np.testing.assert_allclose(lines(axes, "mean")[0].get_ydata(), values.mean(0))


def test_the_mean_stops_where_a_seed_does_and_the_others_go_on(values):
    values[1, 3:] = [np.nan, np.inf]
    figure = plots.curves(STEPS, {"Adam": values})
    (axes,) = figure.axes
    mean = lines(axes, "mean")[0].get_ydata()
    assert np.isfinite(mean).tolist() == [True, True, True, False, False]
    (cross,) = lines(axes, "cross")
    assert cross.get_xydata().tolist() == [[200, values[1, 2]]]
    thin = np.array([line.get_ydata() for line in lines(axes, "seed")])
    np.testing.assert_array_equal(thin[0, 2:], values[0, 2:])
    assert np.isnan(thin[:, :2]).all() and np.isnan(thin[1, 3:]).all()
    assert "Adam: 2 of 20 points are not finite (1 of 4 seeds" in figure.get_supxlabel()


def test_a_series_with_nothing_to_draw_is_told_and_no_error():
    nothing = np.full((2, 5), np.nan)
    figure = plots.curves(STEPS, {"Adam": nothing, "SGDM": np.ones((2, 5))})
    assert "Adam: 10 of 10 points are not finite" in figure.get_supxlabel()
    assert [text.get_text() for text in figure.axes[0].texts] == ["SGDM"]


def test_numbers_near_the_float_limit_are_no_error():
    figure = plots.curves(STEPS, {"Adam": [[1e-300] * 5, [1e300] * 5]})
    assert lines(figure.axes[0], "mean")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"steps": [0, 0, 1, 2, 3]}, "`steps`"),
        ({"steps": []}, "`steps`"),
        ({"series": {}}, "`series`"),
        ({"series": {"Adam": np.ones(5)}}, "Adam"),
        ({"series": {"Adam": np.ones((2, 4))}}, "Adam"),
        ({"band": "se"}, "`band` must be one of"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"steps": STEPS, "series": {"Adam": np.ones((2, 5))}}
    with pytest.raises(ValueError, match=message):
        plots.curves(**good | change)


def test_means_of_logarithms(values):
    (axes,) = plots.curves(STEPS, {"Adam": values}, band="log sd").axes
    (mean,) = lines(axes, "mean")
    logs = np.log(values)
    np.testing.assert_allclose(mean.get_ydata(), np.exp(logs.mean(0)))
    half = logs.std(0, ddof=1)
    edges = np.exp(np.stack([logs.mean(0) - half, logs.mean(0) + half], 1))
    np.testing.assert_allclose(band(axes), edges)
    assert "exp of the mean logarithm over 4 seeds" in axes.figure.get_supxlabel()


def test_a_number_without_a_logarithm_stops_their_mean(values):
    values[1, 2] = -1
    (axes,) = plots.curves(STEPS, {"Adam": values}, band="log sd/4").axes
    assert np.isfinite(lines(axes, "mean")[0].get_ydata()).tolist() == [1, 1, 0, 1, 1]


def test_a_mean_below_zero_leaves_a_gap_on_a_log_axis(values):
    values[0, 2] = -1e3
    (axes,) = plots.curves(STEPS, {"Adam": values}).axes
    assert np.isfinite(lines(axes, "mean")[0].get_ydata()).tolist() == [1, 1, 0, 1, 1]
    (axes,) = plots.curves(STEPS, {"Adam": values}, log=False).axes
    assert np.isfinite(lines(axes, "mean")[0].get_ydata()).all()


# Panels


def test_each_panel_has_its_own_curves_and_all_one_legend(values):
    panels = {"A": {"SGDM": values, "Adam": values / 9}, "B": {"Adam": values * 2}}
    figure = plots.curve_panels(STEPS, panels, ylabel="Loss", note="N.")
    left, right = figure.axes
    assert [axes.get_title("left") for axes in figure.axes] == ["A", "B"]
    np.testing.assert_allclose(lines(left, "mean")[1].get_ydata(), values.mean(0) / 9)
    np.testing.assert_allclose(lines(right, "mean")[0].get_ydata(), values.mean(0) * 2)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["SGDM", "Adam"]
    assert (left.get_ylabel(), right.get_ylabel()) == ("Loss", "")
    assert figure.get_supxlabel() == "N. Line: mean over 4 seeds; band: ± sd/4."
    assert left.get_ylim() != right.get_ylim()


def test_panels_may_share_their_axis_and_name_what_they_cannot_draw(values):
    values[0, 1] = -0.1
    panels = {"A": {"Adam": np.abs(values)}, "B": {"Adam": values * 100}}
    figure = plots.curve_panels(STEPS, panels, share=True)
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert "B, Adam: 1 of 20 points are 0 or negative" in " ".join(figure.get_supxlabel().split())


@pytest.mark.parametrize(
    "change, message",
    [
        ({"panels": {}}, "`panels`"),
        ({"panels": {"A": {}}}, r"panels\['A'\]"),
        ({"panels": {"A": {"Adam": np.ones((2, 4))}}}, "Adam"),
        ({"band": "se"}, "`band`"),
    ],
)
def test_bad_panels_are_named(change, message):
    good = {"steps": STEPS, "panels": {"A": {"Adam": np.ones((2, 5))}}}
    with pytest.raises(ValueError, match=message):
        plots.curve_panels(**good | change)
