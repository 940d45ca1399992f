import numpy as np
import pytest

from wdattn.spectra import balancedness, nuclear_gap, product_spectra, row_norm_correlation
from wdattn.spectra.attention_heads import rotated_halves, rotated_neighbours


@pytest.fixture
def factors(rng):
    return rng.normal(size=(3, 12, 4)), rng.normal(size=(3, 10, 4))


def balanced(rng, rows=12, rank=4):
    """U sqrt(S) O and V sqrt(S) O: Proposition 3.1 of Kobayashi et al."""
    u, v = (np.linalg.qr(rng.normal(size=(rows, rank)))[0] for _ in range(2))
    o = np.linalg.qr(rng.normal(size=(rank, rank)))[0]
    root = np.diag(np.sqrt(rng.uniform(0.1, 5, rank)))
    return (u @ root @ o)[None], (v @ root @ o)[None]


def test_the_gap_is_half_the_squared_norms_less_the_nuclear_norm(factors):
    left, right = factors
    measured = nuclear_gap(left, right)
    for h in range(3):
        nuclear = np.linalg.norm(left[h] @ right[h].T, "nuc")
        half = (np.linalg.norm(left[h]) ** 2 + np.linalg.norm(right[h]) ** 2) / 2
        np.testing.assert_allclose(measured.absolute[h], half - nuclear)
        np.testing.assert_allclose(measured.relative[h], 1 - nuclear / half)
        np.testing.assert_allclose(measured.nuclear_norm[h], nuclear)
    np.testing.assert_allclose(
        measured.ratio, measured.nuclear_norm / (measured.nuclear_norm + measured.absolute)
    )


def test_balancedness_is_the_distance_of_the_gram_matrices(factors):
    left, right = factors
    measured = balancedness(left, right)
    for h in range(3):
        a, b = left[h].T @ left[h], right[h].T @ right[h]
        np.testing.assert_allclose(measured.absolute[h], np.linalg.norm(a - b))
        mean = (np.linalg.norm(a) + np.linalg.norm(b)) / 2
        np.testing.assert_allclose(measured.relative[h], np.linalg.norm(a - b) / mean)


def test_balanced_factors_have_neither(rng):
    left, right = balanced(rng)
    assert nuclear_gap(left, right).relative < 1e-14
    assert balancedness(left, right).relative < 1e-14
    np.testing.assert_allclose(row_norm_correlation(left, right), 1)


def test_scaling_one_factor_is_seen_and_scaling_both_changes_no_relative_number(factors):
    left, right = factors
    before, after = balancedness(left, right), balancedness(3 * left, 3 * right)
    np.testing.assert_allclose(after.relative, before.relative)
    np.testing.assert_allclose(after.absolute, 9 * before.absolute)
    np.testing.assert_allclose(nuclear_gap(3 * left, 3 * right).relative,
                               nuclear_gap(left, right).relative)  # fmt: skip
    assert (balancedness(9 * left, right).relative > before.relative).all()


def test_the_gap_stays_below_half_the_nuclear_norm_of_the_imbalance(rng):
    # The sharper form of Proposition B.4, which has no constant that could hide a slip.
    for _ in range(50):
        left, right = rng.normal(size=(1, 6, 3)), rng.normal(size=(1, 5, 3)) * rng.uniform(0.1, 3)
        imbalance = left[0].T @ left[0] - right[0].T @ right[0]
        assert nuclear_gap(left, right).absolute <= np.linalg.norm(imbalance, "nuc") / 2 + 1e-12


def test_a_shared_factor_is_held_against_the_sum_of_its_heads(rng):
    left, right = rng.normal(size=(2, 8, 3)), rng.normal(size=(4, 7, 3))
    stacked = right.reshape(2, 14, 3)
    for gauge in (nuclear_gap, balancedness):
        measured, expected = gauge(left, right), gauge(left, stacked)
        for name in ("absolute", "relative"):
            np.testing.assert_allclose(getattr(measured, name), getattr(expected, name))
    np.testing.assert_allclose(
        row_norm_correlation(left, right), row_norm_correlation(left, stacked)
    )
    sums = [sum(right[h].T @ right[h] for h in (2 * g, 2 * g + 1)) for g in range(2)]
    expected = [np.linalg.norm(left[g].T @ left[g] - sums[g]) for g in range(2)]
    np.testing.assert_allclose(balancedness(left, right).absolute, expected)


def test_gradient_flow_of_a_shared_key_conserves_its_balance_with_the_sum(rng):
    # Without decay the step changes A^T A - sum B^T B in second order of the rate alone.
    key, queries = rng.normal(size=(6, 3)), rng.normal(size=(2, 6, 3))
    slopes = rng.normal(size=(2, 6, 6))  # of the loss in each product key @ query^T
    rate = 1e-6
    new_key = key - rate * sum(g @ q for g, q in zip(slopes, queries, strict=True))
    new = queries - rate * np.stack([g.T @ key for g in slopes])

    def imbalance(key, queries):
        return key.T @ key - sum(q.T @ q for q in queries)

    moved = np.abs(imbalance(new_key, new) - imbalance(key, queries)).max()
    one = np.abs(new[0].T @ new[0] - new_key.T @ new_key - queries[0].T @ queries[0] + key.T @ key)
    assert moved < 1e-9 < one.max()  # the latter is of first order


def test_correlation_of_row_norms(factors):
    left, right = factors
    measured = row_norm_correlation(left, right)
    for h in range(3):
        a, b = (np.square(factor[h]).sum(0) for factor in factors)
        np.testing.assert_allclose(measured[h], np.corrcoef(a, b)[0, 1])


def test_permuted_units_and_gaussian_factors_have_no_correlation(rng):
    scales = np.exp(rng.normal(size=(400, 1, 8)))
    left, right = (scales * rng.normal(size=(400, 32, 8)) for _ in range(2))
    assert row_norm_correlation(left, right).mean() > 0.9
    permuted = np.stack([factor[:, rng.permutation(8)] for factor in right])
    gaussians = rng.normal(size=(2, 400, 32, 8))
    # 400 values of standard deviation 1 / sqrt(7): 0.08 is four standard errors.
    assert abs(row_norm_correlation(left, permuted).mean()) < 0.08
    assert abs(row_norm_correlation(*gaussians).mean()) < 0.08


@pytest.mark.parametrize("pairs", [rotated_halves, rotated_neighbours])
def test_rotating_the_pairs_of_one_factor_changes_nothing(factors, pairs):
    left, right = factors
    turned = right.copy()
    for (i, j), angle in zip(pairs(4), (0.4, 1.3), strict=True):
        c, s = np.cos(angle), np.sin(angle)
        turned[..., i], turned[..., j] = (
            c * right[..., i] - s * right[..., j],
            s * right[..., i] + c * right[..., j],
        )
    rotary = pairs(4)
    before, after = (balancedness(left, b, rotary).absolute for b in (right, turned))
    np.testing.assert_allclose(after, before)
    np.testing.assert_allclose(row_norm_correlation(left, turned, rotary),
                               row_norm_correlation(left, right, rotary))  # fmt: skip
    assert not np.allclose(balancedness(left, turned).absolute, balancedness(left, right).absolute)


def test_rotary_balance_is_that_of_the_mean_norm_of_each_pair(factors):
    left, right = factors
    a, b = (np.square(factor).sum(1)[:, [[0, 2], [1, 3]]].sum(2) / 2 for factor in factors)
    expected = np.sqrt(2 * np.square(a - b).sum(1))  # two equal entries a pair
    measured = balancedness(left, right, rotated_halves(4))
    np.testing.assert_allclose(measured.absolute, expected)
    sizes = [np.sqrt(2 * np.square(norms).sum(1)) for norms in (a, b)]
    np.testing.assert_allclose(measured.relative, 2 * expected / sum(sizes))


def test_units_that_are_not_rotated_keep_their_whole_gram_matrix(factors):
    left, right = factors
    rotary = np.array([[0, 1]])
    imbalance = left.transpose(0, 2, 1) @ left - right.transpose(0, 2, 1) @ right
    pair = (imbalance[:, 0, 0] + imbalance[:, 1, 1]) / 2
    expected = np.sqrt(2 * pair**2 + np.square(imbalance[:, 2:, 2:]).sum((1, 2)))
    np.testing.assert_allclose(balancedness(left, right, rotary).absolute, expected)


def test_zero_factors_have_no_relative_numbers():
    zero = np.zeros((1, 3, 2))
    gap, balance = nuclear_gap(zero, zero), balancedness(zero, zero)
    assert gap.absolute == balance.absolute == 0
    assert np.isnan([gap.relative, balance.relative, row_norm_correlation(zero, zero)]).all()


@pytest.mark.parametrize("gauge", [nuclear_gap, balancedness, row_norm_correlation])
def test_bad_shapes(gauge):
    with pytest.raises(ValueError, match=r"`left` must be \(groups, rows, rank\)"):
        gauge(np.ones((2, 3, 4)), np.ones((2, 3, 5)))


def test_the_nuclear_norm_is_the_sum_of_the_spectrum(factors):
    np.testing.assert_allclose(nuclear_gap(*factors).nuclear_norm, product_spectra(*factors).sum(1))
