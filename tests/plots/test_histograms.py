import numpy as np
import pytest

from wdattn import plots


@pytest.fixture
def draws(rng):
    return np.exp(rng.normal(size=2000))


def bars(axes):
    """Values and edges of each step curve: the draws first, then the outline."""
    return [patch.get_data() for patch in axes.patches]


def test_the_whole_histogram_integrates_to_one_and_counts_every_draw(draws):
    bulk, tail = plots.histogram({"Setting 1": draws}, zoom=None, bins=50).axes
    values, edges, _ = bars(bulk)[0]
    assert len(values) == 50
    np.testing.assert_allclose((values * np.diff(edges)).sum(), 1)
    assert bars(tail)[0].values.sum() == len(draws)
    assert tail.get_yscale() == "log"


def test_zoom_ends_the_bulk_at_a_quantile_and_says_what_lies_beyond(draws):
    bulk, tail = plots.histogram({"Setting 1": draws}, zoom=0.95).axes
    values, edges, _ = bars(bulk)[0]
    np.testing.assert_allclose(edges[-1], np.quantile(draws, 0.95))
    np.testing.assert_allclose((values * np.diff(edges)).sum(), 0.95, atol=1e-3)
    assert bars(tail)[0].edges[-1] == draws.max()
    (text,) = [text.get_text() for text in bulk.texts]
    assert text.startswith("5.0 % lie beyond, up to ")


def test_counts_instead_of_a_density(draws):
    bulk, _ = plots.histogram({"Setting 1": draws}, zoom=1, density=False).axes
    assert bars(bulk)[0].values.sum() == len(draws)
    assert bulk.get_ylabel() == "Draws"


def test_the_matched_gaussian_is_an_outline_on_the_same_bins_and_scale(draws, rng):
    matched = np.abs(rng.normal(size=500))
    figure = plots.histogram({"a": draws}, matched={"a": matched}, zoom=None)
    bulk, tail = figure.axes
    data, outline = bars(bulk)
    np.testing.assert_array_equal(data.edges, outline.edges)
    np.testing.assert_allclose((outline.values * np.diff(outline.edges)).sum(), 1)
    assert not bulk.patches[1].get_fill()
    # Four draws to one matched: the outline is scaled up to compare.
    assert bars(tail)[1].values.max() >= 4
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["gradient noise", "matched Gaussian"]


def test_the_outline_of_log_counts_is_scaled_to_the_number_of_draws():
    """Two matched draws of one value beside six of another: the outline stands for six."""
    tail = plots.histogram({"a": np.full(6, 1.0)}, matched={"a": np.full(2, 3.0)}, bins=4).axes[1]
    assert [float(bars(tail)[number].values.sum()) for number in (0, 1)] == [6.0, 6.0]


def test_a_matched_label_without_draws_is_named(draws):
    with pytest.raises(ValueError, match=r"`matched` has labels \['b'\] that `series` lacks"):
        plots.histogram({"a": draws}, matched={"b": draws})


def test_each_label_has_a_column(draws):
    figure = plots.histogram({"sphere": draws, "heavy": draws**2}, xlabel="norm", note="N.")
    assert len(figure.axes) == 4
    assert [axes.get_title("left") for axes in figure.axes] == ["sphere", "heavy", "", ""]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "norm", "norm"]
    assert "N. sphere: 2000 draws. heavy: 2000 draws." in figure.get_supxlabel()


def test_draws_that_are_not_finite_are_counted(draws):
    draws = draws.reshape(2, -1)
    draws[1, :3] = np.nan, np.inf, -np.inf
    figure = plots.histogram({"a": draws})
    note = " ".join(figure.get_supxlabel().split())
    assert "a: 1997 draws. a: 3 of 2000 draws are not finite" in note


def test_equal_draws_are_no_error():
    assert bars(plots.histogram({"a": np.ones(5)}).axes[0])[0].values.max() > 0


@pytest.mark.parametrize(
    "change, message",
    [
        ({"series": {}}, "`series`"),
        ({"series": {"a": [np.nan]}}, "finite draw"),
        ({"bins": 0}, "`bins`"),
        ({"zoom": 0}, "`zoom`"),
        ({"zoom": 1.5}, "`zoom`"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        plots.histogram(**{"series": {"a": [1.0, 2.0]}} | change)
