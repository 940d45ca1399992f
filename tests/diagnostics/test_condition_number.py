import numpy as np
import pytest

from wdattn.diagnostics import condition_number, objective
from wdattn.models import LinearTransformer


def robust(diagonal):
    sizes = np.sort(np.abs(diagonal))
    return sizes[-1] / sizes[(len(sizes) - 1) // 2]


def test_equals_the_closed_form(linear, rng, squared):
    x, y = rng.normal(size=(7, 3)) * [1, 2, 3], rng.normal(size=(7, 1))
    found = condition_number(linear, x, y, squared)
    expected = np.diag(2 * x.T @ x / 7)
    np.testing.assert_allclose(found.diagonal, expected, rtol=1e-10)
    assert found.value == pytest.approx(robust(expected), rel=1e-10)
    assert found.diagonal.dtype == "float64" and type(found.value) is float


def test_equals_central_differences_through_stock_layers(stock, dense_hessian, squared):
    model, x, y = stock
    expected = np.diag(dense_hessian(model, x, y))
    found = condition_number(model, x, y, squared)
    np.testing.assert_allclose(found.diagonal, expected, atol=1e-4 * np.abs(expected).max())
    assert found.value == pytest.approx(robust(found.diagonal), rel=1e-12)


def test_equals_central_differences_on_the_linear_transformer(transformer, dense_hessian, squared):
    model, x, y = transformer
    hessian = dense_hessian(model, x, y)
    found = condition_number(model, x, y, squared)
    np.testing.assert_allclose(found.diagonal, np.diag(hessian), rtol=1e-6, atol=1e-7)
    # The last layer's `value` never reaches the output: 4 of 16 entries are 0, and they count.
    assert (found.diagonal[8:12] == 0).all()
    assert found.value == pytest.approx(robust(np.diag(hessian)), rel=1e-5)


def test_one_layer_is_quadratic_and_its_median_is_zero(rng, squared):
    model = LinearTransformer(depth=1, dim=2, dtype="float64", seed=0)
    prompts, labels = rng.normal(size=(6, 5, 3)), rng.normal(size=(6, 1))
    context, query = prompts[:, :-1], prompts[:, -1, :-1]
    b = np.einsum("bnd,bn->bd", context[..., :-1], context[..., -1]) / 4
    features = np.einsum("bi,bj->bij", b, query).reshape(6, 4)  # the output is -<Q, b query^T>
    found = condition_number(model, prompts, labels, squared)
    expected = [0, 0, 0, 0, *np.diag(2 * features.T @ features / 6)]
    np.testing.assert_allclose(found.diagonal, expected, rtol=1e-10)
    assert found.value == np.inf  # the lower one of the two in the middle


def test_blocks_of_any_size_give_the_same(transformer, monkeypatch, squared):
    model, x, y = transformer
    whole = condition_number(model, x, y, squared).diagonal
    for vectors in (1, 5, 16):  # 16 parameters: 5 leaves a block that is not full
        monkeypatch.setattr(objective, "_VECTORS", vectors)
        np.testing.assert_allclose(
            condition_number(model, x, y, squared).diagonal, whole, rtol=1e-9, atol=1e-12
        )


def test_float32_is_close(rng, squared):
    model = LinearTransformer(depth=3, dim=3, seed=0)
    twin = LinearTransformer(depth=3, dim=3, seed=0, dtype="float64")
    x, y = rng.normal(size=(20, 7, 4)), rng.normal(size=(20, 1))
    exact = condition_number(twin, x, y, squared).diagonal
    np.testing.assert_allclose(
        condition_number(model, x, y, squared).diagonal, exact, atol=1e-5 * np.abs(exact).max()
    )
