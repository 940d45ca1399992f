import numpy as np
import pytest

from wdattn import plots

VALUES = {"iteration 750": [1.5, 2.0, 3.0], "iteration 1250": [0.8, 1.1, 1.9]}


def dots(axes):
    return [line.get_ydata().tolist() for line in axes.lines if line.get_gid() == "seeds"]


def test_a_dot_a_seed_on_a_log_axis_with_a_line_at_equal():
    figure = plots.ratios(VALUES, note="N.")
    (axes,) = figure.axes
    assert dots(axes) == list(VALUES.values())
    assert axes.get_yscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == list(VALUES)
    assert any(list(line.get_ydata()) == [1, 1] for line in axes.lines)
    assert figure.get_supxlabel() == "N."


def test_interval_paper_and_threshold_are_drawn_as_given():
    figure = plots.ratios(
        VALUES,
        intervals={"iteration 750": (2.1, 1.4, 3.3)},
        paper={"iteration 750": (1.76, 0.4)},
        threshold=1.17,
    )
    (axes,) = figure.axes
    (mean, _, (bar,)), (paper, _, (paper_bar,)) = axes.containers
    assert mean.get_ydata().tolist() == [2.1] and paper.get_ydata().tolist() == [1.76]
    np.testing.assert_allclose(bar.get_segments()[0][:, 1], [1.4, 3.3])
    np.testing.assert_allclose(paper_bar.get_segments()[0][:, 1], [1.36, 2.16])
    texts = [text.get_text() for text in axes.texts]
    assert {"2.10", "equal", "counts from 1.17"} == set(texts)
    assert any(list(line.get_ydata()) == [1.17, 1.17] for line in axes.lines)
    ticks = [text.get_text() for text in axes.get_xticklabels()]
    assert ticks == ["iteration 750\nours 2.17 (0.76)\npaper 1.76 (0.40)", "iteration 1250"]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["one seed", "mean, 95 % interval", "the paper"]
    assert "arithmetic mean" in figure.get_supxlabel()


def test_a_papers_bar_that_ends_below_zero_is_cut_and_told():
    figure = plots.ratios(VALUES, paper={"iteration 750": (9.57, 13.3)})
    assert "minus its standard deviation is below 0 (▼)" in " ".join(figure.get_supxlabel().split())


def test_seeds_without_a_ratio_are_counted():
    figure = plots.ratios({"t": [1.0, np.nan, -2.0, np.inf]})
    assert dots(figure.axes[0]) == [[1.0]]
    assert figure.get_supxlabel() == "t: 3 of 4 seeds have no positive finite ratio."


def test_an_interval_that_is_not_finite_is_left_out():
    figure = plots.ratios({"t": [1.0, 2.0]}, intervals={"t": (1.4, np.nan, None)})
    assert not figure.axes[0].containers


@pytest.mark.parametrize("name", ["intervals", "paper"])
def test_a_label_that_the_values_lack_is_named(name):
    with pytest.raises(ValueError, match=f"`{name}` has labels .'t'"):
        plots.ratios({"s": [1.0]}, **{name: {"t": (1, 1, 1)[: 3 if name == "intervals" else 2]}})


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="`values`"):
        plots.ratios({})


@pytest.mark.parametrize("values", [[1.1, 1.9], [0.1, 30.0], [1e-3, 1e4]])
def test_the_axis_has_readable_ticks_at_every_width(values):
    (axes,) = plots.ratios({"t": values}).axes
    low, high = axes.get_ylim()
    inside = [tick for tick in axes.get_yticks() if low <= tick <= high]
    assert 2 <= len(inside) <= 10
