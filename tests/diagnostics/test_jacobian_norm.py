import gc
import sys
import weakref

import keras
import numpy as np
import pytest

from wdattn import autodiff
from wdattn.diagnostics import jacobian_norm, jacobian_norm_estimate


@pytest.fixture
def network(rng):
    """Attention, layer norm and two outputs, in float64 but for what Keras rounds, and inputs."""
    options = {"dtype": "float64"}
    inputs = keras.Input((2, 3), **options)
    hidden = keras.layers.MultiHeadAttention(1, 2, **options)(inputs, inputs)
    hidden = keras.layers.LayerNormalization(epsilon=0.1, **options)(hidden)
    hidden = keras.layers.Dropout(0.5)(keras.layers.Flatten(**options)(hidden))
    model = keras.Model(inputs, keras.layers.Dense(2, **options)(hidden))
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
    return model, rng.normal(size=(4, 2, 3))


def forward(model):
    compiled = autodiff.jit(lambda x: model(x, training=False))
    return lambda x: keras.ops.convert_to_numpy(compiled(x)).astype("float64")


def by_weights(model, x, step=1e-2):
    """`(samples, outputs, parameters)` by central differences of fourth order."""
    columns, start, outputs = [], model.get_weights(), forward(model)

    def moved(place, entry, by):
        changed = [weight.copy() for weight in start]
        changed[place][entry] += by
        model.set_weights(changed)
        return outputs(x)

    for place, weight in enumerate(start):
        for entry in np.ndindex(weight.shape):
            near, far = (
                (moved(place, entry, by) - moved(place, entry, -by)) / (2 * by)
                for by in (step, 2 * step)
            )
            columns.append((4 * near - far) / 3)
    model.set_weights(start)
    return np.stack(columns, -1)


def by_inputs(model, x, step=1e-2):
    columns, outputs = [], forward(model)
    for entry in np.ndindex(x.shape[1:]):
        bump = np.zeros(x.shape)
        bump[:, *entry] = 1.0
        near, far = (
            (outputs(x + by * bump) - outputs(x - by * bump)) / (2 * by) for by in (step, 2 * step)
        )
        columns.append((4 * near - far) / 3)
    return np.stack(columns, -1)


DENSE = {"weights": by_weights, "inputs": by_inputs}


def test_closed_form(linear, rng):
    x, (w,) = rng.normal(size=(7, 3)), linear.get_weights()
    found = jacobian_norm(linear, x)
    norms = np.linalg.norm(x, axis=1)
    np.testing.assert_allclose(found.norms, norms, rtol=1e-12)
    assert found.value == pytest.approx(norms.mean(), rel=1e-12)  # not the root of the mean square
    assert found.root_mean_square == pytest.approx(np.linalg.norm(x) / 7**0.5, rel=1e-12)
    found = jacobian_norm(linear, x, "inputs")
    np.testing.assert_allclose(found.norms, np.full(7, np.linalg.norm(w)), rtol=1e-12)


@pytest.mark.parametrize("wrt", ["weights", "inputs"])
@pytest.mark.parametrize("name", ["network", "transformer"])
def test_equals_central_differences(name, wrt, request):
    model, x = request.getfixturevalue(name)[:2]
    expected = np.linalg.norm(DENSE[wrt](model, x).reshape(len(x), -1), axis=1)
    found = jacobian_norm(model, x, wrt)
    # Keras' attention and layer norm compute in float32 in places.
    close = {"network": 1e-3, "transformer": 1e-6}[name]
    np.testing.assert_allclose(found.norms, expected, rtol=close)
    assert found.root_mean_square == pytest.approx(np.sqrt((expected**2).mean()), rel=close)


@pytest.mark.parametrize("wrt", ["weights", "inputs"])
def test_the_estimate_is_the_mean_of_the_probes_squares(network, wrt):
    model, x = network
    jacobian = DENSE[wrt](model, x)
    found = jacobian_norm_estimate(model, x, wrt, probes=30, seed=3)
    rng = np.random.default_rng(3)
    probes = [rng.choice([-1.0, 1.0], (4, 2)) for _ in range(30)]
    if wrt == "weights":  # all samples move the same weights
        squares = [np.sum(np.einsum("nk,nkp->p", v, jacobian) ** 2) / 4 for v in probes]
    else:
        squares = [np.sum(np.einsum("nk,nkp->np", v, jacobian) ** 2) / 4 for v in probes]
    np.testing.assert_allclose(found.squares, squares, rtol=1e-3)
    root = np.sqrt(np.mean(squares))
    assert found.root_mean_square == pytest.approx(root, rel=1e-3)
    error = np.std(squares, ddof=1) / 30**0.5 / (2 * root)
    assert found.standard_error == pytest.approx(error, rel=1e-2)
    exact = jacobian_norm(model, x, wrt).root_mean_square
    assert found.root_mean_square == pytest.approx(exact, abs=4 * found.standard_error)


def test_blocks_of_any_size_give_the_same(network, monkeypatch):
    model, x = network
    whole = jacobian_norm(model, x).norms
    monkeypatch.setattr(
        sys.modules["wdattn.diagnostics.jacobian_norm"], "_VECTORS", 3
    )  # of 8: the last has 2
    np.testing.assert_allclose(jacobian_norm(model, x).norms, whole, rtol=1e-5)


def test_several_inputs_and_outputs(rng):
    options = {"dtype": "float64"}
    inputs = {name: keras.Input((3,), name=name, **options) for name in "ab"}
    both = keras.layers.Concatenate(**options)(list(inputs.values()))
    layers = [keras.layers.Dense(units, use_bias=False, **options) for units in (2, 1)]
    model = keras.Model(inputs, [layer(both) for layer in layers])
    x = {name: rng.normal(size=(4, 3)) for name in "ab"}
    joined = np.concatenate([x["a"], x["b"]], 1)
    # Each of the three outputs has the inputs as its derivative by its own weights. Keras' Dense
    # multiplies in float32 on some backends.
    expected = np.sqrt(3) * np.linalg.norm(joined, axis=1)
    np.testing.assert_allclose(jacobian_norm(model, x).norms, expected, rtol=1e-6)
    kernels = np.concatenate([weight.ravel() for weight in model.get_weights()])
    found = jacobian_norm(model, x, "inputs")
    np.testing.assert_allclose(found.norms, np.full(4, np.linalg.norm(kernels)), rtol=1e-6)
    estimate = jacobian_norm_estimate(model, x, "inputs", probes=50)
    assert estimate.root_mean_square == pytest.approx(
        np.linalg.norm(kernels), abs=4 * estimate.standard_error
    )


def test_a_constant_has_no_derivative():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    found = jacobian_norm_estimate(model, np.ones((3, 2)), "inputs", probes=2)
    assert (found.root_mean_square, found.standard_error) == (0, 0)


def test_whole_numbers_by_weights_alone(stock):
    model, tokens, _ = stock
    assert jacobian_norm_estimate(model, tokens, probes=2).squares.shape == (2,)
    with pytest.raises(ValueError, match='`x` must be floating for `wrt="inputs"`'):
        jacobian_norm(model, tokens, "inputs")


def test_the_model_is_not_kept_alive():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    jacobian_norm(model, np.ones((2, 3)))
    jacobian_norm(model, np.ones((2, 3)), "inputs")
    dead = weakref.ref(model)
    del model
    keras.backend.clear_session()
    gc.collect()
    assert dead() is None


def test_bad_input_is_named(linear):
    x = np.eye(3)
    for measure in (jacobian_norm, jacobian_norm_estimate):
        with pytest.raises(ValueError, match="`wrt` must be one of weights, inputs, got 'w'"):
            measure(linear, x, "w")
        with pytest.raises(ValueError, match="`x` must hold one or more samples along axis 0"):
            measure(linear, x[:0])
        with pytest.raises(ValueError, match="`model` .* is not built"):
            measure(keras.Sequential([keras.layers.Dense(1)]), x)
    with pytest.raises(ValueError, match="`probes` must be an int >= 2, got 1"):
        jacobian_norm_estimate(linear, x, probes=1)
