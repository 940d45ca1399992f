import numpy as np
import pytest

from wdattn.spectra import AttentionHeads, MergedHeads, product_spectra


def test_equals_the_singular_values_of_the_dense_product(rng):
    left, right = rng.normal(size=(3, 20, 4)), rng.normal(size=(3, 17, 4))
    dense = np.linalg.svd(left @ right.transpose(0, 2, 1), compute_uv=False)
    np.testing.assert_allclose(product_spectra(left, right), dense[:, :4], rtol=1e-12)
    assert dense[:, 4:].max() < 1e-13


def test_heads_of_a_group_share_the_left_factor(rng):
    left, right = rng.normal(size=(2, 9, 3)), rng.normal(size=(6, 8, 3))
    alone = [product_spectra(left[h // 3][None], right[h][None])[0] for h in range(6)]
    np.testing.assert_allclose(product_spectra(left, right), alone, rtol=1e-12)


def test_a_factor_with_fewer_rows_than_columns(rng):
    left, right = rng.normal(size=(1, 2, 5)), rng.normal(size=(1, 7, 5))
    dense = np.linalg.svd(left[0] @ right[0].T, compute_uv=False)
    np.testing.assert_allclose(product_spectra(left, right)[0], dense, rtol=1e-12)


def test_the_smallest_values_are_not_lost(rng):
    # Gram matrices in place of QR would square the condition number, and lose them.
    left = np.linalg.qr(rng.normal(size=(30, 4)))[0] * [1.0, 1e-4, 1e-8, 1e-12]
    right = np.linalg.qr(rng.normal(size=(30, 4)))[0]
    values = product_spectra(left[None], right[None])[0]
    np.testing.assert_allclose(values, [1.0, 1e-4, 1e-8, 1e-12], rtol=1e-3)  # 1e-16 of the largest


@pytest.mark.parametrize(
    ("left", "right"),
    [((2, 5, 3), (3, 5, 3)), ((2, 5, 3), (2, 5, 4)), ((5, 3), (5, 3)), ((2, 5, 0), (2, 5, 0))],
)
def test_bad_shapes(left, right):
    with pytest.raises(ValueError, match=r"`left` must be \(groups, rows, rank\)"):
        product_spectra(np.ones(left), np.ones(right))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e71])
def test_numbers_that_are_not_finite(value):
    with pytest.raises(ValueError, match="`left` must be finite and at most 1e"):
        product_spectra(np.full((1, 2, 2), value), np.ones((1, 2, 2)))
    with pytest.raises(ValueError, match="`right` must be finite and at most 1e"):
        product_spectra(np.ones((1, 2, 2)), np.full((1, 2, 2), value))


@pytest.mark.parametrize("factor", [np.ones((1, 2, 2), bool), np.ones((1, 2, 2), complex), "left"])
def test_what_is_no_number(factor):
    with pytest.raises(ValueError, match="`left` must be an array of real numbers"):
        product_spectra(factor, np.ones((1, 2, 2)))


def test_a_layer_gives_both_products(rng):
    layer = AttentionHeads("a", *rng.normal(size=(4, 3, 7, 2)))
    spectra = product_spectra(layer)
    assert list(spectra) == ["key_query", "value_output"]
    for left, right, values in zip(
        (layer.key, layer.value), (layer.query, layer.output), spectra.values(), strict=True
    ):
        dense = np.linalg.svd(left @ right.transpose(0, 2, 1), compute_uv=False)[:, :2]
        np.testing.assert_allclose(values, dense, rtol=1e-12)


def test_a_layer_of_merged_products(rng):
    products = rng.normal(size=(2, 3, 5, 5))
    spectra = product_spectra(MergedHeads("a", *products))
    for product, values in zip(products, spectra.values(), strict=True):
        np.testing.assert_allclose(values, np.linalg.svd(product, compute_uv=False), rtol=1e-12)


def test_a_layer_and_an_array(rng):
    layer = AttentionHeads("a", *rng.normal(size=(4, 3, 7, 2)))
    with pytest.raises(ValueError, match="`right` must be None with a layer, got ndarray"):
        product_spectra(layer, layer.query)
    with pytest.raises(ValueError, match="`right` must be an array, unless `left` is a layer"):
        product_spectra(layer.query)
