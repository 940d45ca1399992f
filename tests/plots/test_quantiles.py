import numpy as np
import pytest
from scipy import special

from wdattn import plots


def shown(figure, gid):
    return [line for line in figure.axes[1].lines if line.get_gid() == gid]


def test_sorted_draws_stand_over_the_quantiles_of_a_normal_distribution(rng):
    draws = np.exp(rng.normal(size=(2, 150)))
    (dots,) = shown(plots.quantiles(draws), "draws")
    np.testing.assert_array_equal(dots.get_ydata(), np.sort(draws.ravel()))
    # Filliben's medians of uniform order statistics.
    medians = (np.arange(1, 301) - 0.3175) / 300.365
    medians[[0, -1]] = 1 - 0.5 ** (1 / 300), 0.5 ** (1 / 300)
    np.testing.assert_allclose(dots.get_xdata(), special.ndtri(medians))


def test_the_line_is_that_of_least_squares(rng):
    draws = 3 + 2 * rng.normal(size=500)
    figure = plots.quantiles(draws)
    (dots,), (line,) = shown(figure, "draws"), shown(figure, "line")
    slope, offset = np.polyfit(dots.get_xdata(), dots.get_ydata(), 1)
    np.testing.assert_allclose(line.get_ydata(), offset + slope * line.get_xdata())
    assert slope == pytest.approx(2, rel=0.1) and offset == pytest.approx(3, rel=0.1)


def test_the_matched_gaussian_has_dots_and_an_outline_of_its_own(rng):
    draws, matched = np.exp(rng.normal(size=300)), np.abs(rng.normal(size=200))
    figure = plots.quantiles(draws, matched=matched, zoom=None, note="N.")
    assert [line.get_ydata().size for line in shown(figure, "draws")] == [200, 300]
    bars, outline = (patch.get_data() for patch in figure.axes[0].patches)
    np.testing.assert_allclose((bars.values * np.diff(bars.edges)).sum(), 1)
    np.testing.assert_allclose((outline.values * np.diff(outline.edges)).sum(), 1)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["gradient noise", "matched Gaussian"]
    assert figure.get_supxlabel().startswith("N. 300 draws.")


def test_draws_that_are_not_finite_are_counted():
    figure = plots.quantiles([1.0, 2.0, np.nan, 3.0], bins=3)
    assert "1 of 4 draws are not finite" in " ".join(figure.get_supxlabel().split())


@pytest.mark.parametrize("draws", [[], [1.0], [np.nan, np.inf, 2.0]])
def test_two_draws_are_needed(draws):
    with pytest.raises(ValueError, match="`draws` must hold at least two finite"):
        plots.quantiles(draws)
