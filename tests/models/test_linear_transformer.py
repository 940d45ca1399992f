import itertools

import keras
import numpy as np
import pytest
from keras import ops

from wdattn import autodiff
from wdattn.data import in_context_regression
from wdattn.models import LinearTransformer

GRID = list(itertools.product([1, 2, 3], [1, 5, 20], ["block", "full"]))
DEEP = list(itertools.product([8], [1, 5, 20], ["block", "full"]))
SLOW = [pytest.param(*case, marks=pytest.mark.slow) for case in DEEP]  # seconds of compiling each


def softmax(scores):
    exponentials = np.exp(scores)
    return exponentials / exponentials.sum(-1, keepdims=True)


def literal(z, matrices, activation=lambda scores: scores):
    """-[Z_L] at the query's label: scores formed, mask and all, float64 NumPy."""
    n = z.shape[1] - 1
    mask = np.diag([1.0] * n + [0.0])
    for value, key_query in matrices:
        scores = activation(np.einsum("bif,gf,bjg->bij", z, key_query, z)) @ mask
        z = z + scores @ z @ value.T / n
    return -z[:, -1, -1:]


def matrices(model):
    return [tuple(map(ops.convert_to_numpy, layer.matrices())) for layer in model.layers]


def literal_stack(model, z):
    """The model as a stack of its own layers, in Keras."""
    for layer in model.layers:
        z = layer(z)
    return -z[:, -1, -1:]


def example(n, dim=5, batch=4):
    return [part.astype("float64") for part in in_context_regression(batch, dim=dim, context=n)]


def double(depth, parametrization, dim=5):
    # At depth 8 the output is a polynomial of degree 6561: a small spread keeps it near 1.
    stddev = 0.2 if depth < 8 else 0.02
    return LinearTransformer(depth, dim, parametrization, stddev, seed=3, dtype="float64")


@pytest.mark.parametrize(("depth", "n", "parametrization"), [*GRID, *DEEP])
def test_value_equals_the_literal_stack(depth, n, parametrization):
    model, (x, _) = double(depth, parametrization), example(n)
    found = ops.convert_to_numpy(model(x))
    wanted = literal(x, matrices(model))
    assert np.abs(wanted).max() > 1e-5
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    layers = ops.convert_to_numpy(literal_stack(model, ops.convert_to_tensor(x)))
    np.testing.assert_allclose(layers, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("depth", "n", "parametrization"), [*GRID, *SLOW])
def test_gradient_equals_the_literal_stack(depth, n, parametrization):
    model, (x, y) = double(depth, parametrization), example(n)

    def gradient(function):
        def loss(x, y):
            return ops.mean(ops.square(function(x) - y))

        found = autodiff.value_and_grad(loss, model.trainable_variables)(x, y)[1]
        return np.concatenate([ops.convert_to_numpy(part).ravel() for part in found])

    fast = gradient(model)
    slow = gradient(lambda z: literal_stack(model, z))
    assert np.linalg.norm(slow) > 1e-4
    np.testing.assert_allclose(fast, slow, rtol=1e-7, atol=1e-9 * np.linalg.norm(slow))


def test_gradient_against_central_differences(rng):
    model, (x, y) = double(3, "block"), example(20)
    weights = model.get_weights()
    direction = [rng.normal(size=weight.shape) for weight in weights]

    def value(step):
        model.set_weights([w + step * d for w, d in zip(weights, direction, strict=True)])
        return np.mean((literal(x, matrices(model)) - y) ** 2)

    slope = (value(1e-5) - value(-1e-5)) / 2e-5
    model.set_weights(weights)
    loss = autodiff.value_and_grad(
        lambda x, y: ops.mean(ops.square(model(x) - y)), model.trainable_variables
    )
    _, gradients = loss(x, y)
    found = sum(
        np.sum(ops.convert_to_numpy(g) * d) for g, d in zip(gradients, direction, strict=True)
    )
    np.testing.assert_allclose(found, slope, rtol=1e-6)  # truncation of the difference


def soft(depth, parametrization="block"):
    # Wide enough for attention that is far from uniform.
    kwargs = {"activation": "softmax", "dtype": "float64"}
    return LinearTransformer(depth, 5, parametrization, 0.5, seed=3, **kwargs)


@pytest.mark.parametrize(("depth", "n", "parametrization"), GRID)
def test_softmax_equals_the_literal_stack(depth, n, parametrization):
    model, (x, _) = soft(depth, parametrization), example(n)
    wanted = literal(x, matrices(model), softmax)
    uniform = literal(x, matrices(model), lambda scores: np.full_like(scores, 1 / (n + 1)))
    assert np.abs(wanted - uniform).max() > 1e-3
    np.testing.assert_allclose(ops.convert_to_numpy(model(x)), wanted, rtol=1e-9, atol=1e-12)
    layers = ops.convert_to_numpy(literal_stack(model, ops.convert_to_tensor(x)))
    np.testing.assert_allclose(layers, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("parametrization", ["block", "full"])
def test_softmax_derivatives_against_central_differences(rng, parametrization):
    model, (x, y) = soft(3, parametrization), example(20)
    weights = model.get_weights()
    direction = [rng.normal(size=weight.shape) for weight in weights]

    def loss(x, y):  # not ops.mean, which on JAX and PyTorch rounds float64 to float32
        return ops.sum(ops.square(model(x) - y)) / y.shape[0]

    def go(step):
        model.set_weights([w + step * d for w, d in zip(weights, direction, strict=True)])

    def value(step):
        go(step)
        return np.mean((literal(x, matrices(model), softmax) - y) ** 2)

    def flat(tensors):
        return np.concatenate([ops.convert_to_numpy(tensor).ravel() for tensor in tensors])

    along = np.concatenate([part.ravel() for part in direction])
    slope = (value(1e-5) - value(-1e-5)) / 2e-5
    go(0)
    gradient = autodiff.value_and_grad(loss, model.trainable_variables)
    # Both tolerances leave room for the third-order term of the difference.
    np.testing.assert_allclose(flat(gradient(x, y)[1]) @ along, slope, rtol=1e-6)
    found = flat(autodiff.hvp(loss, model.trainable_variables)(direction, x, y))
    differences = []
    for step in (1e-5, -1e-5):
        go(step)
        differences.append(flat(gradient(x, y)[1]) / (2 * step))
    wanted = sum(differences)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6 * np.linalg.norm(wanted))


def test_the_last_value_matrix_has_no_influence():
    """Only the label's row of P reaches the output, and "block" fixes it."""
    model, (x, y) = double(3, "block"), example(20)
    loss = autodiff.value_and_grad(
        lambda x, y: ops.mean(ops.square(model(x) - y)), model.trainable_variables
    )
    norms = [float(ops.norm(gradient)) for gradient in loss(x, y)[1]]
    assert [norm == 0 for norm in norms] == [False] * 4 + [True, False]


def test_sign_is_that_of_the_paper():
    """One layer with Q' = -I takes a gradient step on the context, from 0: towards the label."""
    model = LinearTransformer(1, dim=5, dtype="float64")
    model.set_weights([np.zeros((5, 5)), -np.eye(5)])
    x, y = example(2000, batch=50)
    found = ops.convert_to_numpy(model(x))
    covariates, labels = x[:, :-1, :-1], x[:, :-1, -1:]
    step = np.mean(covariates * labels, axis=1)  # of least squares, rate 1, about the task itself
    np.testing.assert_allclose(found[:, 0], np.sum(step * x[:, -1, :-1], axis=1), rtol=1e-9)
    assert np.corrcoef(found[:, 0], y[:, 0])[0, 1] > 0.98


def test_150_parameters_with_stable_names():
    model = LinearTransformer(name="ahn")
    assert model.built and model.count_params() == 150
    assert [variable.path for variable in model.weights] == [
        f"ahn/attention_{layer}/{name}" for layer in range(3) for name in ("value", "key_query")
    ]
    assert LinearTransformer(3, 5, "full").count_params() == 216
    assert model.trainable_variables == model.weights


def test_one_seed_one_start_and_no_shared_draws():
    one, again = (LinearTransformer(seed=4).get_weights() for _ in range(2))
    assert all(map(np.array_equal, one, again))
    weights = [*one, *LinearTransformer(seed=5).get_weights()]
    assert len({weight.tobytes() for weight in weights}) == 12
    assert not np.array_equal(LinearTransformer().get_weights(), LinearTransformer().get_weights())
    deeper = LinearTransformer(depth=4, seed=4).get_weights()
    assert all(map(np.array_equal, one, deeper))  # a layer's draw is its own


def test_entries_start_normal_with_deviation_0_05():
    model = LinearTransformer(depth=8, dim=40, seed=0)
    entries = np.concatenate([weight.ravel() for weight in model.get_weights()])
    error = 0.05 / np.sqrt(entries.size)
    assert abs(entries.mean()) < 5 * error
    assert abs(entries.std() - 0.05) < 5 * error / np.sqrt(2)
    assert abs(np.mean(np.abs(entries) < 0.05) - 0.682689) < 5 * np.sqrt(0.2166 / entries.size)


@pytest.mark.parametrize("parametrization", ["block", "full"])
def test_fit_lowers_the_loss(parametrization):
    keras.utils.set_random_seed(0)  # the order of `fit`
    model = LinearTransformer(parametrization=parametrization, seed=0)
    model.compile(keras.optimizers.Adam(0.02, beta_2=0.9, clipnorm=1.0), loss="mse")
    x, y = in_context_regression(4096)
    losses = model.fit(x, y, batch_size=128, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert model.evaluate(*in_context_regression(1000, stream=1), verbose=0) < 2.5  # E y^2 = 5


def test_numpy_integers_are_saved_as_integers():
    config = LinearTransformer(np.int64(2), np.int32(3), seed=np.int64(1)).get_config()
    assert all(type(config[name]) is int for name in ("depth", "dim", "seed"))


@pytest.mark.parametrize("shape", [(3, 6), (3, 21, 5), (3, 21, 7), (3, 1, 6), (3, 0, 6)])
def test_bad_inputs(shape):
    with pytest.raises(ValueError, match=r"`inputs` must be \(batch, n \+ 1, 6\)") as error:
        LinearTransformer()(np.ones(shape, "float32"))
    assert str(shape) in str(error.value)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("activation", [None, "softmax"])
def test_says_what_comes_out(policy, activation):
    model = LinearTransformer(activation=activation, dtype=policy)
    said = model.compute_output_spec(keras.KerasTensor((None, 21, 6), "float32"))
    found = model(np.ones((2, 21, 6), "float32"))
    assert said.shape == (None, 1) and tuple(found.shape) == (2, 1)
    assert said.dtype == keras.backend.standardize_dtype(found.dtype) == model.compute_dtype
