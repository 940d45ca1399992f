import numpy as np
import pytest
from keras import ops

from wdattn.ops.feature_maps import FEATURE_MAPS, feature_map_of

FORMULAS = {
    "identity": lambda x: x,
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1) + 1,
    "relu": lambda x: np.maximum(x, 0),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
}


@pytest.mark.parametrize("name", FEATURE_MAPS)
def test_equals_its_formula(rng, name):
    x = rng.normal(size=(2, 3, 4))
    found = ops.convert_to_numpy(feature_map_of(name)(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(found, FORMULAS[name](x), rtol=1e-10)
    assert name in ("identity", "relu") or (found > 0).all()


def test_a_function_is_itself():
    assert feature_map_of(np.sin) is np.sin


@pytest.mark.parametrize("name", ["Elu", "", None, 1, ["elu"]])
def test_an_unknown_name(name):
    with pytest.raises(ValueError, match="`feature_map` must be a callable or one of identity"):
        feature_map_of(name)
