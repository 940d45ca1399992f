import numpy as np
import pytest

from wdattn.spectra import entropy_rank, pseudo_rank, stable_rank


def test_the_sum_counts_and_not_the_sum_of_squares():
    values = [10.0, *[1.0] * 10]
    assert pseudo_rank(values).count == 10  # 19 of 20; of the squares 105 of 110 are six values
    assert pseudo_rank(values).of_rank == 10 / 11


def test_a_tie_with_the_share_counts_as_reached():
    assert pseudo_rank(np.full(20, 0.1)).count == 19


def test_any_order_and_any_shape(rng):
    values = rng.uniform(size=(2, 3, 8))
    ranks = pseudo_rank(values, width=32, share=0.8)
    assert ranks.count.shape == (2, 3)
    for index in np.ndindex(2, 3):
        ordered = np.sort(values[index])[::-1]
        sums = np.array([ordered[:k].sum() for k in range(1, 9)])
        assert ranks.count[index] == np.flatnonzero(sums >= 0.8 * ordered.sum())[0] + 1
    np.testing.assert_array_equal(ranks.of_width, ranks.count / 32)
    assert pseudo_rank(values).of_width is None


def test_nothing_has_rank_zero():
    ranks = pseudo_rank(np.zeros((2, 4)), width=9)
    assert not ranks.count.any() and not ranks.of_width.any()
    assert np.isnan(entropy_rank(np.zeros(4))) and np.isnan(stable_rank(np.zeros(4)))


def test_entropy_rank_counts_equal_values_and_lies_between():
    np.testing.assert_allclose(entropy_rank([[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]),
                               [0.25, 0.75, 1.0])  # fmt: skip
    p = np.array([0.5, 0.3, 0.2])
    np.testing.assert_allclose(entropy_rank(7 * p), np.prod(p**-p) / 3)


def test_stable_rank_is_frobenius_over_spectral_norm(rng):
    matrix = rng.normal(size=(6, 5))
    values = np.linalg.svd(matrix, compute_uv=False)
    expected = np.linalg.norm(matrix) ** 2 / np.linalg.norm(matrix, 2) ** 2
    np.testing.assert_allclose(stable_rank(values), expected)


@pytest.mark.parametrize("rank", [pseudo_rank, entropy_rank, stable_rank])
@pytest.mark.parametrize("values", [[1.0, -1.0], [np.nan, 1.0], [], 3.0])
def test_bad_values(rank, values):
    with pytest.raises(ValueError, match="`singular_values` must be"):
        rank(values)


@pytest.mark.parametrize("rank", [pseudo_rank, entropy_rank, stable_rank])
@pytest.mark.parametrize("values", [[True, False], ["1", "2"], [1j, 2.0], None])
def test_what_is_no_number(rank, values):
    with pytest.raises(ValueError, match="`singular_values` must be an array of real numbers"):
        rank(values)


@pytest.mark.parametrize(
    "choice",
    [*({"share": share} for share in (0.0, 1.1, np.nan, True, "0.95", None)),
     *({"width": width} for width in (0, 2.5, 4.0, np.nan, np.inf, True, "4"))],
)  # fmt: skip
def test_bad_choices(choice):
    (name,) = choice
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        pseudo_rank([1.0], **choice)


def test_numbers_of_numpy_are_numbers():
    ranks = pseudo_rank(np.ones(4, "float32"), np.int64(8), np.float32(0.5))
    assert (ranks.count, ranks.of_width) == (2, 0.25)
