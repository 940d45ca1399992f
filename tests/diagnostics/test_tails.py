"""The tail statistics recover the laws that they are named after."""

import numpy as np
import pytest
from scipy import stats

from wdattn.diagnostics import tails


def test_quantile_ratio_equals_numpy(rng):
    values = rng.exponential(size=501)
    expected = np.quantile(values, 0.999) / np.median(values)
    assert tails.quantile_ratio(values) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("index", [1.5, 3.0, 10.0])
def test_hill_index_recovers_pareto(rng, index):
    # A relative standard error of 1/sqrt(2000); four of them.
    assert tails.hill_index(1 + rng.pareto(index, 200_000)) == pytest.approx(index, rel=0.09)


def test_hill_index_recovers_student_t(rng):
    # The tail of a Student t is a power law in the limit only: the top 1 % is 5 % off it.
    assert tails.hill_index(np.abs(rng.standard_t(3, 200_000))) == pytest.approx(3, rel=0.12)


def test_hill_index_counts_the_top_share():
    values = np.exp(np.arange(200.0))
    # k = 2: the logarithms exceed the third by 1 and 2.
    assert tails.hill_index(values) == pytest.approx(2 / 3, rel=1e-12)


def test_moments_equal_scipy(rng):
    values = rng.gamma(2.0, size=300)
    assert tails.standardised_moment(values, 3) == pytest.approx(stats.skew(values), rel=1e-10)
    kurtosis = stats.kurtosis(values, fisher=False)
    assert tails.standardised_moment(values, 4) == pytest.approx(kurtosis, rel=1e-10)


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])  # either Gram matrix is the smaller one
def test_covariance_eigenvalues_equal_the_dense_ones(rng, shape):
    vectors = rng.normal(size=shape) * np.arange(1, shape[1] + 1) + 3
    dense = np.linalg.eigvalsh(np.cov(vectors.T))[::-1][: min(shape)]
    np.testing.assert_allclose(tails.covariance_eigenvalues(vectors), dense, atol=1e-10 * dense[0])


def test_gaussian_norms_follow_their_law(monkeypatch):
    monkeypatch.setattr(tails, "_DRAWS", 1000)  # in many pieces
    one = tails.gaussian_norms(np.array([4.0]), 5000, seed=0)
    assert stats.kstest(one / 2, "halfnorm").pvalue > 0.01
    three = tails.gaussian_norms(np.array([4.0, 4.0, 4.0]), 5000, seed=1)
    assert stats.kstest(three / 2, stats.chi(3).cdf).pvalue > 0.01


def test_gaussian_norms_do_not_depend_on_the_pieces(monkeypatch):
    whole = tails.gaussian_norms(np.array([1.0, 2.0]), 99, seed=0)
    monkeypatch.setattr(tails, "_DRAWS", 10)
    np.testing.assert_array_equal(tails.gaussian_norms(np.array([1.0, 2.0]), 99, seed=0), whole)


def test_not_finite_is_nan():
    values = np.array([1.0, np.nan, 2.0])
    assert np.isnan(tails.quantile_ratio(values)) and np.isnan(tails.hill_index(values))
    assert np.isnan(tails.standardised_moment(values, 3))
    assert np.isnan(tails.covariance_eigenvalues(values[:, None])).all()


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: tails.quantile_ratio([]), "`values`"),
        (lambda: tails.quantile_ratio([-1.0, 1.0]), "smallest -1.0"),
        (lambda: tails.quantile_ratio([1.0], quantile=0.5), "`quantile`"),
        (lambda: tails.hill_index([1.0]), "`values`"),
        (lambda: tails.hill_index([[1.0, 2.0]]), "`values`"),
        (lambda: tails.hill_index([1.0, 2.0], share=0.0), "`share`"),
    ],
)
def test_bad_input_is_named(call, word):
    with pytest.raises(ValueError, match=word):
        call()
