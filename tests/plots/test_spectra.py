import numpy as np
import pytest

from wdattn import plots
from wdattn.spectra import pseudo_rank


@pytest.fixture
def heads(rng):
    return -np.sort(-rng.uniform(0.1, 5, size=(3, 8)), axis=1)


def lines(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def test_a_curve_a_head_over_its_largest_value(heads):
    (axes,) = plots.spectra({"W": {"layer 0": heads}}).axes
    curves = lines(axes, "head")
    for curve, head in zip(curves, heads, strict=True):
        np.testing.assert_allclose(curve.get_ydata(), head / head[0])
        np.testing.assert_array_equal(curve.get_xdata(), np.arange(1, 9))
    assert axes.get_title("left") == "layer 0" and axes.get_ylabel().startswith("W\n")


def test_a_dot_at_the_pseudo_rank(heads):
    heads = np.concatenate([heads, np.full((1, 20 - 12), 0.1)])
    (axes,) = plots.spectra({"W": {"": heads}}).axes
    dots = lines(axes, "rank")
    assert [dot.get_xdata()[0] for dot in dots] == pseudo_rank(heads).count.tolist()
    assert [dot.get_ydata()[0] for dot in dots] == [
        head[int(dot.get_xdata()[0]) - 1] / head[0] for head, dot in zip(heads, dots, strict=True)
    ]


def test_a_null_of_one_product(heads):
    null = np.array([4.0, 2.0, 1.0])
    first, second = plots.spectra({"A": {"": heads}, "B": {"": heads}}, null={"B": null}).axes
    assert lines(first, "null") == []
    (dashed,) = lines(second, "null")
    np.testing.assert_allclose(dashed.get_ydata(), [1, 0.5, 0.25])


def test_many_layers_go_on_in_a_new_row(heads):
    panels = {f"layer {i}": heads for i in range(8)}
    figure = plots.spectra({"A": panels, "B": panels}, title="T", note="N.")
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == [*panels, *[""] * 4] * 2
    assert [axes.axison for axes in figure.axes[8:12]] == [False] * 4
    assert figure.get_suptitle() == "T\n" and figure.get_supxlabel() == "N."


def test_heads_of_several_widths(heads):
    first, second = plots.spectra({"A": {"one": heads, "two": heads[:, :5]}}).axes
    assert len(lines(first, "head")[0].get_xdata()) == 8
    assert len(lines(second, "head")[0].get_xdata()) == 5


def test_a_dead_head_is_counted(heads):
    heads[1] = 0
    figure = plots.spectra({"A": {"": heads}})
    assert len(lines(figure.axes[0], "head")) == 2
    assert figure.get_supxlabel() == "1 heads are zero and cannot be drawn."


@pytest.mark.parametrize("blocks", [{}, {"A": {}}])
def test_no_panel(blocks):
    with pytest.raises(ValueError, match="`blocks.*` must map at least one label"):
        plots.spectra(blocks)


@pytest.mark.parametrize("shape", [(3,), (0, 3), (3, 0)])
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match=r"must be an array \(heads, rank\)"):
        plots.spectra({"A": {"x": np.ones(shape)}})
