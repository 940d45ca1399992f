import numpy as np
import pytest
from keras import ops

from wdattn import backend
from wdattn.ops import linear_attention_forms as forms


@pytest.mark.parametrize(
    ("dtype", "sizes"), [("float32", (1e-30, 1e-12, 1.0)), ("float64", (1e-200, 1e-30, 1.0))]
)
def test_denominators_are_zero_only_where_they_are_zero(dtype, sizes):
    """However small it is, and of either sign, a denominator divides; 0 alone gives 0."""
    denominators = np.array([*sizes, *(-size for size in sizes), 0.0])
    numerators = 3 * np.where(denominators == 0, 1.0, denominators)
    found = forms.divided(*(ops.convert_to_tensor(x, dtype) for x in (numerators, denominators)))
    wanted = [3.0] * 6 + [0.0]
    np.testing.assert_allclose(ops.convert_to_numpy(found), wanted, rtol=1e-6)


def test_the_gradients_of_a_quotient():
    """1 / d and -n / d^2, and 0 where d is 0."""

    def total(parameters):
        return ops.sum(forms.divided(*parameters))

    numerators, denominators = np.array([2.0, 5.0, 3.0]), np.array([4.0, 0.0, -0.5])
    parameters = [ops.convert_to_tensor(x, "float64") for x in (numerators, denominators)]
    gradients = [ops.convert_to_numpy(x) for x in backend.value_and_grad(total)(parameters)[1]]
    np.testing.assert_allclose(gradients[0], [0.25, 0.0, -2.0], rtol=1e-12)
    np.testing.assert_allclose(gradients[1], [-0.125, 0.0, -12.0], rtol=1e-12)


def test_scores_of_keys_that_are_not_seen_are_zero(rng):
    query, key = rng.normal(size=(2, 1, 4, 2, 3))
    mask = rng.random((1, 2, 4, 4)) < 0.5
    wanted = np.einsum("bthf,bshf->bhts", query, key) * np.tri(4) * mask
    given = (ops.convert_to_tensor(x) for x in (query, key))
    found = forms.scores(*given, causal=True, mask=ops.convert_to_tensor(mask))
    np.testing.assert_allclose(ops.convert_to_numpy(found), wanted, rtol=1e-12, atol=1e-15)
