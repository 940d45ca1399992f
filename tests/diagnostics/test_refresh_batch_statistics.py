import keras
import numpy as np
import pytest
from keras import ops

from wdattn.diagnostics import gradient_norm, refresh_batch_statistics

EPSILON = 1e-3
CLOSE = 3e-5  # Keras multiplies matrices in float32 on PyTorch, float64 ones too


@pytest.fixture
def data(rng):
    return rng.normal(size=(11, 3)) * [1.0, 3.0, 0.2] + [5.0, 0.0, -1.0]


@pytest.fixture
def model(rng):
    """Two layers of batch normalisation, the second of which sees what the first one made."""
    norm = {"epsilon": EPSILON, "momentum": 0.9, "dtype": "float64"}
    layers = [
        keras.layers.BatchNormalization(name="first", **norm),
        keras.layers.Dense(2, activation="tanh", dtype="float64"),
        keras.layers.BatchNormalization(name="second", **norm),
    ]
    model = keras.Sequential([keras.Input((3,), dtype="float64"), *layers])
    model.set_weights([rng.uniform(0.5, 2.0, weight.shape) for weight in model.weights])
    return model


def literal(model, data, batch_size):
    """Both layers' means and variances in float64, batch by batch."""
    gamma, beta, _, _, kernel, bias, *_ = (w.astype("float64") for w in model.get_weights())
    seen, made = [], []
    for start in range(0, len(data), batch_size):
        x = data[start : start + batch_size].astype("float64")
        scaled = (x - x.mean(0)) / np.sqrt(x.var(0) + EPSILON) * gamma + beta
        seen.append(x)
        made.append(np.tanh(scaled @ kernel + bias))
    return [(x.mean(0), x.var(0)) for x in (np.concatenate(seen), np.concatenate(made))]


def statistics(model):
    layers = (model.layers[0], model.layers[2])
    return [
        [ops.convert_to_numpy(v) for v in (layer.moving_mean, layer.moving_variance)]
        for layer in layers
    ]


@pytest.mark.parametrize("batch_size", [11, 4, 100])  # of 4: the last batch has 3
def test_equals_the_moments_of_all_the_data(model, data, batch_size):
    expected = literal(model, data, batch_size)
    names = refresh_batch_statistics(model, data, batch_size)
    assert names == [model.layers[0].path, model.layers[2].path]
    for found, wanted in zip(statistics(model), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=CLOSE)


def test_the_statistics_before_do_not_matter_nor_does_a_second_call(model, data):
    refresh_batch_statistics(model, data)
    first = statistics(model)
    for layer in (model.layers[0], model.layers[2]):
        layer.moving_mean.assign(layer.moving_mean * 0 + 7.0)
    refresh_batch_statistics(model, data)
    np.testing.assert_array_equal(statistics(model)[0], first[0])
    np.testing.assert_array_equal(statistics(model)[1], first[1])


def test_the_weights_are_read_at_each_call(model, data):
    refresh_batch_statistics(model, data)
    weights = model.get_weights()
    weights[4] = -2 * weights[4]
    model.set_weights(weights)
    refresh_batch_statistics(model, data)
    np.testing.assert_allclose(statistics(model)[1], literal(model, data, 11)[1], rtol=CLOSE)


def test_images_by_channel(rng):
    model = keras.Sequential([keras.Input((4, 5, 2)), keras.layers.BatchNormalization()])
    images = rng.normal(size=(7, 4, 5, 2)).astype("float32") * [1.0, 4.0]
    refresh_batch_statistics(model, images, batch_size=3)
    wanted = images.astype("float64")
    found = [ops.convert_to_numpy(v) for v in model.layers[0].non_trainable_variables]
    np.testing.assert_allclose(found[0], wanted.mean((0, 1, 2)), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found[1], wanted.var((0, 1, 2)), rtol=1e-5)


def test_nothing_else_changes(rng):
    seeded, unseeded = keras.layers.Dropout(0.5, seed=1), keras.layers.Dropout(0.5)
    norm = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3), norm, seeded, unseeded])
    model.compile("adam", "mse", metrics=["mae"])
    x = rng.normal(size=(8, 3)).astype("float32")
    model.fit(x, x, verbose=0)
    others = [
        *(v for v in model.variables if all(v is not own for own in norm.non_trainable_variables)),
        *model.optimizer.variables,
        *model.metrics_variables,
    ]

    def draw():
        return ops.convert_to_numpy(unseeded(np.ones((4, 3), "float32"), training=True))

    keras.utils.set_random_seed(4)
    before = [ops.convert_to_numpy(variable) for variable in others]
    expected = draw()
    keras.utils.set_random_seed(4)
    state = [ops.convert_to_numpy(v) for v in unseeded.non_trainable_variables]
    refresh_batch_statistics(model, x, batch_size=4)
    for variable, value in zip(others, before, strict=True):
        if all(variable is not own for own in unseeded.non_trainable_variables):
            np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)
    for variable, value in zip(unseeded.non_trainable_variables, state, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)
    assert norm.momentum == 0.99
    if not unseeded.non_trainable_variables:  # it draws from the backend's own generator
        np.testing.assert_array_equal(draw(), expected)


def test_a_failure_changes_nothing(model, data):
    before = model.get_weights()
    with pytest.raises(ValueError, match="`x` must be inputs that `model`"):
        refresh_batch_statistics(model, data[:, :2])
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert model.layers[0].momentum == 0.9


def test_what_is_frozen_stays(model, data):
    model.layers[0].trainable = False
    before = statistics(model)[0]
    assert refresh_batch_statistics(model, data) == [model.layers[2].path]
    np.testing.assert_array_equal(statistics(model)[0], before)
    model.layers[0].trainable = True
    assert len(refresh_batch_statistics(model, data)) == 2


def test_a_model_without_such_a_layer(linear):
    assert refresh_batch_statistics(linear, np.ones((4, 3))) == []


def test_training_goes_on_and_diagnostics_see_it(model, data):
    """The momentum of the layers is theirs again, also in what was compiled."""
    target = np.zeros((11, 2), "float32")
    model.compile(keras.optimizers.SGD(0.0), "mse")
    refresh_batch_statistics(model, data)
    before = gradient_norm(model, data, target)
    first = statistics(model)[0][0]
    model.fit(data + 1, target, batch_size=11, verbose=0)
    np.testing.assert_allclose(statistics(model)[0][0], first + 0.1, rtol=1e-5)
    assert gradient_norm(model, data, target) != before


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, None, True])
def test_bad_batch_size_is_named(model, data, batch_size):
    with pytest.raises(ValueError, match="`batch_size` must be an int >= 1"):
        refresh_batch_statistics(model, data, batch_size)
