import keras
import numpy as np
import pytest

from wdattn.diagnostics.groups import group_of_each, sums


@pytest.fixture
def variables():
    tokens = keras.Input((4, 2))
    hidden = keras.layers.MultiHeadAttention(1, 2, name="mixer")(tokens, tokens)
    model = keras.Model(tokens, keras.layers.Dense(1, name="head")(hidden))
    return model.trainable_variables


def test_a_group_a_layer(variables):
    names = group_of_each(variables)
    parts = [f"mixer/{part}" for part in ("query", "key", "value", "attention_output")]
    assert names == [name for name in [*parts, "head"] for _ in ("kernel", "bias")]


def test_a_variable_of_no_layer_is_its_own_group():
    assert group_of_each([keras.Variable(0.0, name="alone")]) == ["alone"]


def test_the_first_pattern_that_is_found_decides(variables):
    groups = {"products": r"/(query|key)/", "kernels": r"kernel$", "rest": ""}
    names = dict(zip((v.path for v in variables), group_of_each(variables, groups), strict=True))
    assert names["mixer/query/kernel"] == names["mixer/key/bias"] == "products"
    assert names["mixer/value/kernel"] == names["head/kernel"] == "kernels"
    assert names["mixer/value/bias"] == names["head/bias"] == "rest"


@pytest.mark.parametrize(
    ("groups", "word"),
    [
        ({"kernels": "kernel"}, "must cover every trainable variable, 'mixer/query/bias' is in"),
        ({"all": "", "never": "gamma"}, r"\['never'\] hold none"),
        ({"all": "", "later": "kernel"}, r"\['later'\] hold none"),  # nothing is left for it
        ({"broken": "("}, "must hold regular expressions, got '\\(' for 'broken'"),
        ({"number": 3}, "must hold regular expressions, got 3 for 'number'"),
        (["kernel"], "must be None or a mapping"),
    ],
)
def test_bad_groups_are_named(variables, groups, word):
    with pytest.raises(ValueError, match=word):
        group_of_each(variables, groups)


def test_sums_over_the_variables_of_a_group(rng):
    entries = rng.normal(size=(2, 6))
    found = sums(entries, [1, 2, 3], ["a", "b", "a"])
    assert list(found) == ["a", "b"]
    np.testing.assert_allclose(found["a"], entries[:, [0, 3, 4, 5]].sum(1), rtol=1e-14)
    np.testing.assert_allclose(found["b"], entries[:, 1:3].sum(1), rtol=1e-14)
