import numpy as np
import pytest
from keras import ops

from wdattn.ops import AttentionFactors

SHAPES = {"query": (2, 5, 3), "key": (2, 6, 3), "value": (2, 7, 4), "output": (2, 8, 4)}


def factors(rng, **changed):
    given = {name: rng.normal(size=shape) for name, shape in SHAPES.items()} | changed
    return AttentionFactors(**given)


def test_products_are_those_of_each_head(rng):
    made = factors(rng)
    products = made.products()
    for head in range(2):
        key_query = ops.convert_to_numpy(products.key_query)[head]
        np.testing.assert_allclose(key_query, made.key[head] @ made.query[head].T, rtol=1e-12)
        value_output = ops.convert_to_numpy(products.value_output)[head]
        np.testing.assert_allclose(value_output, made.output[head] @ made.value[head].T, rtol=1e-12)


BAD = [("key", shape) for shape in ((3, 6, 3), (2, 6, 4), (6, 3))]
BAD += [("output", (1, 8, 4)), ("query", (2, 5)), ("value", (2, 7, 4, 1))]


@pytest.mark.parametrize(("name", "shape"), BAD)
def test_factors_that_do_not_fit(rng, name, shape):
    with pytest.raises(ValueError, match=f"`{name}` must"):
        factors(rng, **{name: np.ones(shape)}).products()


@pytest.mark.parametrize("value", [None, "x", np.ones((2, 6, 3), "int32")], ids=repr)
def test_what_is_no_tensor_of_floats(rng, value):
    with pytest.raises(ValueError, match="`key` must be .* float"):
        factors(rng, key=value).products()
