import keras
import numpy as np
import pytest
from keras import ops

from wdattn.layers import LinearSelfAttention


def literal(z, value, key_query):
    """Scores, mask and all, as the paper writes it, tokens as rows."""
    n = z.shape[1] - 1
    scores = np.einsum("bif,gf,bjg->bij", z, key_query, z) @ np.diag([1.0] * n + [0.0])
    return z + scores @ z @ value.T / n


def paper(z, value, key_query):
    """The paper's own orientation, tokens as columns: Z + P Z M (Z^T Q Z) / n."""
    n = z.shape[1] - 1
    columns = z.swapaxes(1, 2)
    mask = np.diag([1.0] * n + [0.0])
    update = value @ columns @ mask @ (z @ key_query @ columns) / n
    return (columns + update).swapaxes(1, 2)


def softmax(scores, axis):
    exponentials = np.exp(scores - scores.max(axis, keepdims=True))
    return exponentials / exponentials.sum(axis, keepdims=True)


def paper_softmax(z, value, key_query):
    """Tokens as columns: Z + P Z M softmax(Z^T Q Z) / n, a key a row, all n + 1 of them."""
    n = z.shape[1] - 1
    columns = z.swapaxes(1, 2)
    attention = softmax(z @ key_query @ columns, axis=1)
    update = value @ columns @ np.diag([1.0] * n + [0.0]) @ attention / n
    return (columns + update).swapaxes(1, 2)


def built(shape, weights, **kwargs):
    layer = LinearSelfAttention(dtype="float64", **kwargs)
    layer.build(shape)
    layer.set_weights(list(weights))
    return layer


@pytest.mark.parametrize("n", [1, 6])  # one context token is the edge
def test_equals_the_literal_formula(rng, n):
    z, weights = rng.normal(size=(3, n + 1, 4)), rng.normal(size=(2, 4, 4))
    found = ops.convert_to_numpy(built(z.shape, weights)(z))
    np.testing.assert_allclose(found, literal(z, *weights), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found, paper(z, *weights), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n", [1, 6])
def test_block_is_the_literal_formula_of_padded_matrices(rng, n):
    z, (value, key_query) = rng.normal(size=(3, n + 1, 4)), rng.normal(size=(2, 3, 3))
    layer = built(z.shape, (value, key_query), parametrization="block")
    p, q = np.zeros((2, 4, 4))
    p[:3, :3], p[3, 3], q[:3, :3] = value, 1, key_query
    found = [ops.convert_to_numpy(matrix) for matrix in layer.matrices()]
    np.testing.assert_array_equal(found, [p, q])
    np.testing.assert_allclose(ops.convert_to_numpy(layer(z)), literal(z, p, q), rtol=1e-10)


def no_mask(z, value, key_query):
    n = z.shape[1] - 1
    return z + np.einsum("bif,gf,bjg->bij", z, key_query, z) @ z @ value.T / n


MUTANTS = {
    "no mask": no_mask,
    "transposed Q": lambda z, value, key_query: literal(z, value, key_query.T),
    "transposed P": lambda z, value, key_query: literal(z, value.T, key_query),
    "no 1/n": lambda z, value, key_query: literal(z, value * (z.shape[1] - 1), key_query),
    "1/(n + 1)": lambda z, value, key_query: literal(z, value * 6 / 7, key_query),
    "swapped P and Q": lambda z, value, key_query: literal(z, key_query, value),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_differs_from_each_mutant(rng, mutant):
    """P and Q are asymmetric here, or a transposition would not show."""
    z, weights = rng.normal(size=(3, 7, 4)), rng.normal(size=(2, 4, 4))
    found = ops.convert_to_numpy(built(z.shape, weights)(z))
    assert np.abs(found - mutant(z, *weights)).max() > 0.1


@pytest.mark.parametrize("n", [1, 6])
@pytest.mark.parametrize("parametrization", ["full", "block"])
def test_softmax_equals_the_literal_formula(rng, n, parametrization):
    z, width = rng.normal(size=(3, n + 1, 4)), 4 - (parametrization == "block")
    weights = rng.normal(size=(2, width, width))
    layer = built(z.shape, weights, parametrization=parametrization, activation="softmax")
    matrices = [ops.convert_to_numpy(matrix) for matrix in layer.matrices()]
    wanted = paper_softmax(z, *matrices)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(z)), wanted, rtol=1e-10, atol=1e-12)


def softmax_with(z, value, key_query, axis=2, keys=7, renormalised=False, n=6):
    """Tokens as rows, with what one may get wrong left open."""
    attention = softmax((z @ key_query.T @ z.swapaxes(1, 2))[..., :keys], axis)
    kept = attention[..., : 6 + (keys > 7)]
    if renormalised:
        kept = kept / kept.sum(-1, keepdims=True)
    return z + kept @ z[:, : kept.shape[-1]] @ value.T / n


SOFTMAX_MUTANTS = {
    "over the queries": {"axis": 1},
    "mask first": {"keys": 6},
    "renormalised": {"renormalised": True},
    "1/(n + 1)": {"n": 7},
    "no 1/n": {"n": 1},
}


def test_the_softmax_mutants_come_from_the_right_form(rng):
    z, weights = rng.normal(size=(3, 7, 4)), rng.normal(size=(2, 4, 4))
    np.testing.assert_allclose(softmax_with(z, *weights), paper_softmax(z, *weights), rtol=1e-10)


@pytest.mark.parametrize("wrong", SOFTMAX_MUTANTS.values(), ids=SOFTMAX_MUTANTS)
def test_softmax_differs_from_each_mutant(rng, wrong):
    z, weights = rng.normal(size=(3, 7, 4)), rng.normal(size=(2, 4, 4))
    found = ops.convert_to_numpy(built(z.shape, weights, activation="softmax")(z))
    assert np.abs(found - softmax_with(z, *weights, **wrong)).max() > 0.01
    for other in (softmax_with(z, weights[0], weights[1].T), softmax_with(z, *weights[::-1])):
        assert np.abs(found - other).max() > 0.01


def test_softmax_of_large_scores_is_finite(rng):
    z, weights = 100 * rng.normal(size=(3, 7, 4)), rng.normal(size=(2, 4, 4))
    layer = built(z.shape, weights, activation="softmax")
    found = ops.convert_to_numpy(layer(z))
    np.testing.assert_allclose(found, paper_softmax(z, *weights), rtol=1e-9)


def test_the_query_is_updated_but_changes_no_other_token(rng):
    z, weights = rng.normal(size=(2, 6, 4)), rng.normal(size=(2, 4, 4))
    layer = built(z.shape, weights)
    other = z.copy()
    other[:, -1] = rng.normal(size=(2, 4))
    one, two = ops.convert_to_numpy(layer(z)), ops.convert_to_numpy(layer(other))
    np.testing.assert_array_equal(one[:, :-1], two[:, :-1])
    assert np.abs(one[:, -1] - z[:, -1]).max() > 0.1


def test_weights_names_and_shapes():
    for parametrization, width in (("full", 6), ("block", 5)):
        layer = LinearSelfAttention(parametrization, name="attention")
        layer.build((None, 21, 6))
        assert [v.path for v in layer.weights] == ["attention/value", "attention/key_query"]
        assert [tuple(v.shape) for v in layer.weights] == [(width, width)] * 2


def test_seed_and_name_are_the_start():
    def start(name, seed):
        layer = LinearSelfAttention(seed=seed, name=name)
        layer.build((None, 21, 6))
        return [ops.convert_to_numpy(weight) for weight in layer.weights]

    one, again = start("a", 0), start("a", 0)
    assert all(map(np.array_equal, one, again))
    others = [*one, *start("b", 0), *start("a", 1)]
    assert len({weight.tobytes() for weight in others}) == 6  # value and key_query differ too


def test_a_seed_needs_a_name():
    with pytest.raises(ValueError, match="`name` must be given with `seed`"):
        LinearSelfAttention(seed=0)


@pytest.mark.parametrize("shape", [(3, 6), (3, 1, 6), (3, 0, 6), (2, 3, 4, 5), (3, 4, 1)])
def test_bad_inputs(shape):
    with pytest.raises(ValueError, match="`inputs` must be") as error:
        LinearSelfAttention("block")(np.ones(shape, "float32"))
    assert str(shape) in str(error.value)


def test_a_built_layer_still_wants_a_context_token():
    layer = LinearSelfAttention()
    layer.build((None, None, 6))
    with pytest.raises(ValueError, match=r"`inputs` must be .* got \(3, 1, 6\)"):
        layer(np.ones((3, 1, 6), "float32"))


def test_any_length_of_prompt_after_build(rng):
    weights = rng.normal(size=(2, 4, 4))
    inputs = keras.Input((None, 4), dtype="float64")
    layer = LinearSelfAttention(dtype="float64")
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights(list(weights))
    for n in (1, 9):
        z = rng.normal(size=(2, n + 1, 4))
        found = ops.convert_to_numpy(model(z))
        np.testing.assert_allclose(found, literal(z, *weights), rtol=1e-10, atol=1e-12)
