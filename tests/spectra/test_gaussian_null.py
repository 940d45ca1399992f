import numpy as np
import pytest

from wdattn.spectra import gaussian_null, nuclear_gap, product_spectra, pseudo_rank


@pytest.mark.parametrize(("left", "right", "rank"), [(40, 40, 8), (20, 60, 8), (5, 30, 8)])
def test_equals_gaussian_factors_drawn_whole(rng, left, right, rank):
    a = rng.normal(size=(400, left, rank)) / np.sqrt(left * rank)
    b = rng.normal(size=(400, right, rank)) / np.sqrt(right * rank)
    measured = gaussian_null(left, right, rank, draws=400)
    ratios, spectra = nuclear_gap(a, b).ratio, product_spectra(a, b)
    # Both are means of 400 draws: four standard errors of a difference.
    near = 4 * np.sqrt(2 / 400)
    assert abs(measured.nuclear_ratio - ratios.mean()) < near * ratios.std()
    assert (np.abs(measured.singular_values - spectra.mean(0)) < near * spectra.std(0)).all()
    counts = pseudo_rank(spectra).count
    assert abs(measured.pseudo_rank - counts.mean()) <= near * counts.std()


def test_the_fact_that_wide_models_look_balanced_by_themselves():
    # Nuclear over Frobenius as prototyped for the heads of LLaMA and GPT.
    assert round(gaussian_null(4096, 4096, 128).nuclear_ratio, 3) == 0.992
    assert round(gaussian_null(768, 768, 64).nuclear_ratio, 3) == 0.979


def test_a_seed_is_a_result():
    first, again, other = (gaussian_null(9, 9, 4, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.singular_values, again.singular_values)
    assert first.nuclear_ratio != other.nuclear_ratio


@pytest.mark.parametrize("name", ["left_rows", "right_rows", "rank", "draws", "seed"])
@pytest.mark.parametrize("value", [-1, 2.5, 4.0, np.nan, True, None, "4"])
def test_bad_sizes(name, value):
    sizes = {"left_rows": 4, "right_rows": 4, "rank": 2, "draws": 2} | {name: value}
    with pytest.raises(ValueError, match=f"`{name}` must be an int >= [01], got"):
        gaussian_null(**sizes)
    if name != "seed":
        with pytest.raises(ValueError, match=f"`{name}` must be an int >= 1, got 0"):
            gaussian_null(**(sizes | {name: 0}))
