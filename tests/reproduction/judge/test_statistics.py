"""Intervals and slopes against closed forms, SciPy and a simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from wdattn.reproduction.judge.statistics import least_squares_slope, t_interval


@pytest.mark.parametrize("count", [2, 3, 6, 40])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_interval_is_scipys(rng, count, level):
    values = rng.normal(3, 2, count)
    expected = stats.ttest_1samp(values, 0).confidence_interval(level)
    np.testing.assert_allclose(t_interval(values, level), expected, rtol=1e-12)


def test_two_draws_have_a_closed_form():
    # With one degree of freedom Student's t is Cauchy's law: its quantile is a tangent.
    reach = math.tan(math.pi * 0.475) * 1 / 2
    np.testing.assert_allclose(t_interval([0, 1]), (0.5 - reach, 0.5 + reach), rtol=1e-12)


@pytest.mark.parametrize("count", [3, 5])
def test_interval_covers_what_it_says(rng, count):
    draws = rng.normal(1.0, 3.0, (4000, count))
    ends = np.array([t_interval(row) for row in draws])
    covered = np.mean((ends[:, 0] < 1) & (1 < ends[:, 1]))
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 4000)


@pytest.mark.parametrize("values", [[], [1.0], 3.0, [[1.0, 2.0]]])
def test_too_few_values(values):
    with pytest.raises(ValueError, match="`values` must (be an array|have at least 2)"):
        t_interval(values)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, math.nan])
def test_bad_level(level):
    with pytest.raises(ValueError, match="`level` must be a finite float > 0 and < 1, got"):
        t_interval([1.0, 2.0], level)


def test_slope_is_numpys(rng):
    x, y = rng.normal(size=(2, 12))
    np.testing.assert_allclose(least_squares_slope(x, y), np.polyfit(x, y, 1)[0], rtol=1e-10)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_slope_of_what_is_not_finite_is_nan(broken):
    # np.polyfit raises LinAlgError on some of these.
    assert math.isnan(least_squares_slope([1.0, broken, 3.0], [1.0, 2.0, 3.0]))
    assert math.isnan(least_squares_slope([1.0, 2.0, 3.0], [1.0, broken, 3.0]))
    assert math.isnan(least_squares_slope([1.0, 1.0], [1.0, 2.0]))
