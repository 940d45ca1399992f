import numpy as np
import pytest

from wdattn.diagnostics import gradient_noise, noise_statistics


def batches_of(rng, count, size):
    return [(rng.normal(size=(size, 3)), rng.normal(size=(size, 1))) for _ in range(count)]


def gradient(x, y, w):
    return (2 * x.T @ (x @ w - y) / len(x)).ravel()


def test_norms_equal_the_closed_form(linear, rng, squared):
    batches, reference = batches_of(rng, 12, 4), batches_of(rng, 1, 50)[0]
    (w,) = linear.get_weights()
    noise = np.stack([gradient(x, y, w) for x, y in batches]) - gradient(*reference, w)
    found = gradient_noise(linear, batches, reference, squared, seed=3)
    np.testing.assert_allclose(found.norms, np.linalg.norm(noise, axis=1), rtol=1e-10)
    # What is computed from the vectors is what a holder of the vectors gets.
    expected = noise_statistics(noise, seed=3)
    for name in ("quantile_ratio", "matched_quantile_ratio", "hill_index", "skewness"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-8)
    np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues, rtol=1e-8)


def test_a_reference_of_batches_is_their_mean(linear, rng, squared):
    batches, parts = batches_of(rng, 3, 4), batches_of(rng, 2, 10)
    joined = tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    whole = gradient_noise(linear, batches, joined, squared)
    averaged = gradient_noise(linear, iter(batches), iter(parts), squared)
    np.testing.assert_allclose(averaged.norms, whole.norms, rtol=1e-10)


def test_recovers_the_noise_of_a_linear_model(linear, rng, squared):
    # At the true weights a batch of B labels with noise sigma has the covariance 4 sigma^2 / B I.
    (w,) = linear.get_weights()
    x = rng.normal(size=(600, 8, 3))
    batches = [(part, part @ w + 0.5 * rng.normal(size=(8, 1))) for part in x]
    x = rng.normal(size=(20_000, 3))
    found = gradient_noise(
        linear, batches, (x, x @ w + 0.5 * rng.normal(size=(20_000, 1))), squared
    )
    # 600 draws of a variance: 6 % standard error, a little more for products of Gaussians.
    np.testing.assert_allclose(found.eigenvalues, 4 * 0.25 / 8, rtol=0.3)
    assert np.mean(found.norms**2) == pytest.approx(3 * 4 * 0.25 / 8, rel=0.15)


def test_gaussian_noise_is_its_own_match(rng):
    noise = rng.normal(size=(20_000, 6)) @ rng.normal(size=(6, 6))
    found = noise_statistics(noise)
    assert abs(found.log_ratio) < 0.06  # its standard error is about 0.02
    assert found.skewness == pytest.approx(found.matched_skewness, abs=0.1)
    assert found.excess_kurtosis == pytest.approx(found.matched_excess_kurtosis, abs=0.4)
    assert found.quantile_ratio > 1.5  # a Gaussian's norm has a tail too


def test_heavy_noise_is_heavier_than_its_match(rng):
    noise = rng.normal(size=(20_000, 6)) * np.abs(rng.standard_t(3, size=(20_000, 1)))
    found = noise_statistics(noise)
    assert found.log_ratio > np.log(2)
    assert found.hill_index == pytest.approx(3, rel=0.25)  # k = 200: 7 %, and the limit's bias
    assert found.matched_hill_index > 2 * found.hill_index


def test_seed_and_order(rng):
    noise = rng.normal(size=(50, 4))
    first, same, other = (noise_statistics(noise, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.matched_norms, same.matched_norms)
    assert (first.matched_norms != other.matched_norms).any()
    np.testing.assert_array_equal(first.norms, other.norms)


def test_not_finite_is_nan(rng):
    noise = rng.normal(size=(5, 3))
    noise[2, 1] = np.inf
    found = noise_statistics(noise)
    assert np.isnan(found.quantile_ratio) and np.isnan(found.log_ratio)
    assert np.isnan(found.matched_norms).all() and np.isinf(found.norms[2])


def test_bad_input_is_named(linear, rng, squared):
    one, two = batches_of(rng, 2, 4)
    longer = batches_of(rng, 1, 5)[0]
    for batches, reference, word in (
        ([], one, "`batches` must hold at least"),
        ([one], two, "`batches` must hold at least 2 pairs"),
        (one[0], two, "`batches` must be an iterable of pairs"),
        (None, two, "`batches` must be an iterable of pairs"),
        ([one, longer], two, "`batches` must hold batches of one shape"),
        ([one, (1, 2, 3)], two, "`batches` must hold pairs"),
        ([one, two], [], "`reference` must hold at least"),
        ([one, two], one[0], "`reference` must be an iterable of pairs"),
        ([one, two], [one[0]], "`reference` must hold pairs"),
    ):
        with pytest.raises(ValueError, match=word):
            gradient_noise(linear, batches, reference, squared)
    with pytest.raises(ValueError, match=r"`noise` must be .*got the shape \(3,\)"):
        noise_statistics([1.0, 2.0, 3.0])
