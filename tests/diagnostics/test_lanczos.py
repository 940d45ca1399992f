import numpy as np
import pytest

from wdattn.diagnostics.lanczos import ends, spectral_norm


def found(values_or_matrix, count=1, tolerance=1e-8, limit=500, seed=0):
    matrix = np.asarray(values_or_matrix)
    matrix = np.diag(matrix) if matrix.ndim == 1 else matrix
    return ends(matrix.__matmul__, len(matrix), count, tolerance, limit, seed)


def test_the_ends_are_not_the_magnitudes():
    both = found([1.0, -3.0])
    assert both.largest == pytest.approx([1], rel=1e-12)
    assert both.smallest == pytest.approx([-3], rel=1e-12)


@pytest.mark.parametrize(
    ("size", "count"), [(1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (60, 1), (60, 3)]
)
def test_equals_the_dense_eigenvalues(rng, size, count):
    matrix = rng.normal(size=(size, size))
    matrix = matrix + matrix.T
    values = np.linalg.eigvalsh(matrix)
    both = found(matrix, count)
    np.testing.assert_allclose(both.largest, values[::-1][:count], rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(both.smallest, values[:count], rtol=1e-7, atol=1e-7)


def test_a_value_that_repeats_is_found_that_often(rng):
    basis, _ = np.linalg.qr(rng.normal(size=(90, 90)))
    values = np.concatenate([[5, 5, 5], np.linspace(-1, 1, 84), [-4, -4, -4]])
    both = found((basis * values) @ basis.T, count=3)
    np.testing.assert_allclose(both.largest, [5, 5, 5], rtol=1e-8)
    np.testing.assert_allclose(both.smallest, [-4, -4, -4], rtol=1e-8)
    assert both.products < 90


def test_goes_on_where_the_images_stay_in_the_span():
    # Three eigenvalues: the images of one start vector span three directions.
    both = found([2.0] * 4 + [0.0] * 5 + [-1.0] * 3, count=2)
    np.testing.assert_allclose(both.largest, [2, 2], rtol=1e-10)
    np.testing.assert_allclose(both.smallest, [-1, -1], rtol=1e-10)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_scale_does_not_matter(rng, scale):
    values = scale * np.concatenate([[9.0, 7.0], rng.normal(size=70), [-8.0, -6.0]])
    both = found(values, count=2)
    np.testing.assert_allclose(both.largest, scale * np.array([9, 7]), rtol=1e-8)
    np.testing.assert_allclose(both.smallest, scale * np.array([-8, -6]), rtol=1e-8)


def test_zero_matrix_and_the_identity():
    assert found(np.zeros(5), count=2).largest == pytest.approx([0, 0], abs=0)
    assert found(np.full(5, -2.0), count=2).smallest == pytest.approx([-2, -2], rel=1e-12)


def test_the_residual_bounds_the_error_where_the_limit_stops_it(rng):
    values = np.sort(rng.exponential(size=400))
    both = found(values, limit=12)
    assert both.products == 12
    assert both.residual > 1e-8 * values[-1]
    for value in (both.largest[0], both.smallest[0]):
        assert np.abs(values - value).min() <= both.residual


def test_needs_far_fewer_products_than_the_size(rng):
    values = np.concatenate([rng.exponential(size=2000) ** 3, [-20.0]])
    both = found(values, tolerance=1e-4)
    assert both.largest == pytest.approx([values.max()], rel=1e-6)
    assert both.smallest == pytest.approx([-20], rel=1e-6)
    assert both.products < 100


def test_not_finite_is_nan():
    both = ends(lambda v: v * np.inf, 3, 2, 1e-3, 9, 0)
    assert np.isnan([*both.largest, *both.smallest, both.residual]).all()


def test_the_seed_decides(rng):
    values = rng.normal(size=200)
    runs = [found(values, tolerance=1e-2, seed=seed).largest[0] for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


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


def test_spectral_norm_needs_far_fewer_products_than_the_size(rng):
    values, calls = rng.exponential(size=2000) ** 3, []

    def product(vector):
        calls.append(vector)
        return values * vector

    assert spectral_norm(product, 2000) == pytest.approx(values.max(), rel=1e-4)
    assert len(calls) < 100


def test_spectral_norm_zero_matrix_and_the_identity():
    assert spectral_norm(np.zeros_like, 5) == 0
    assert spectral_norm(lambda v: -2 * v, 5) == pytest.approx(2, rel=1e-12)


def test_spectral_norm_not_finite_is_nan():
    assert np.isnan(spectral_norm(lambda v: v * np.inf, 3))


def test_spectral_norm_the_seed_decides(rng):
    matrix = np.diag(rng.normal(size=50))
    runs = [spectral_norm(matrix.__matmul__, 50, seed=seed) for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


def test_nothing_is_left_once_all_directions_are_taken():
    """Also beside an eigenvalue whose round-off is larger than the others' residuals."""
    values = np.concatenate([[1e8], np.linspace(0, 1, 120)])
    both = found(values, count=2, tolerance=0.0)
    np.testing.assert_allclose(both.largest, [1e8, 1.0], rtol=1e-8)
    assert both.residual == 0
