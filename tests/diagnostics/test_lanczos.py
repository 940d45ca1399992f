import numpy as np
import pytest

from wdattn.diagnostics.lanczos import spectral_norm


@pytest.mark.parametrize("sign", [1, -1])  # the largest in magnitude may be the negative end
@pytest.mark.parametrize("size", [1, 2, 60])
def test_equals_the_dense_spectral_norm(rng, size, sign):
    matrix = rng.normal(size=(size, size))
    matrix = sign * (matrix @ matrix.T) - 0.1 * sign * np.eye(size)
    expected = np.linalg.norm(matrix, 2)
    assert spectral_norm(matrix.__matmul__, size) == pytest.approx(expected, rel=1e-4)


def test_finds_a_value_hidden_in_a_cluster(rng):
    basis, _ = np.linalg.qr(rng.normal(size=(80, 80)))
    values = np.concatenate([[-1.05], np.linspace(0.9, 1.0, 79)])
    matrix = (basis * values) @ basis.T
    assert spectral_norm(matrix.__matmul__, 80) == pytest.approx(1.05, rel=1e-4)


def test_needs_far_fewer_products_than_the_size(rng):
    values, calls = rng.exponential(size=2000) ** 3, []

    def product(vector):
        calls.append(vector)
        return values * vector

    assert spectral_norm(product, 2000) == pytest.approx(values.max(), rel=1e-4)
    assert len(calls) < 100


def test_zero_matrix_and_the_identity():
    assert spectral_norm(np.zeros_like, 5) == 0
    assert spectral_norm(lambda v: -2 * v, 5) == pytest.approx(2, rel=1e-12)


def test_not_finite_is_nan():
    assert np.isnan(spectral_norm(lambda v: v * np.inf, 3))


def test_the_seed_decides(rng):
    matrix = np.diag(rng.normal(size=50))
    runs = [spectral_norm(matrix.__matmul__, 50, seed=seed) for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]
