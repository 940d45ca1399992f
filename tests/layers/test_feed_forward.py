import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import erf, expit

from wdattn.layers import FeedForward

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2,
    "swiglu": lambda x: x * expit(x),
    "geglu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
}


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_equals_numpy(rng, activation, use_bias):
    x = rng.normal(size=(2, 3, 4))
    layer = FeedForward(6, activation, use_bias=use_bias, dtype="float64", name="mine")
    layer.build(x.shape)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    own = {v.path: ops.convert_to_numpy(v) for v in layer.weights}

    def dense(name, x):
        return x @ own[f"mine/{name}/kernel"] + own.get(f"mine/{name}/bias", 0)

    function, hidden = ACTIVATIONS[activation], dense("hidden", x)
    gated = activation.endswith("glu")
    hidden = function(dense("gate", x)) * hidden if gated else function(hidden)
    found = ops.convert_to_numpy(layer(x))
    # Keras' exact GELU rounds float64 to float32 on some backends.
    np.testing.assert_allclose(found, dense("output", hidden), rtol=1e-6, atol=1e-6)
    assert len(own) == (2 + gated) * (1 + use_bias)


def test_dropout_acts_between_the_layers_in_training_alone(rng):
    x = rng.normal(size=(2, 3, 4)).astype("float32")
    layer = FeedForward(64, "relu", dropout=0.5, seed=1)
    still = ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, training=False)), still)
    moved = ops.convert_to_numpy(layer(x, training=True))
    assert np.abs(moved - still).max() > 0.01 and np.all(moved != 0)


def test_a_seeded_start_depends_on_the_place(rng):
    from wdattn.initializers import Normal

    layer = FeedForward(4, "swiglu", kernel_initializer=Normal(seed=0), name="mine")
    layer.build((None, 4))
    kernels = [ops.convert_to_numpy(v) for v in layer.weights if v.name == "kernel"]
    assert len({kernel.tobytes() for kernel in kernels}) == 3
    again = FeedForward(4, "swiglu", kernel_initializer=Normal(seed=0), name="mine")
    again.build((None, 4))
    assert np.array_equal(ops.convert_to_numpy(again.weights[0]), kernels[0])


def test_masks_go_through():
    x = keras.layers.Embedding(5, 4, mask_zero=True)(np.array([[1, 2, 0]]))
    mask = FeedForward(6)(x)._keras_mask
    assert ops.convert_to_numpy(mask).tolist() == [[True, True, False]]


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (2, 3, 5, 4)], ids=str)
def test_any_number_of_axes_before_the_features(rng, shape):
    x = rng.normal(size=shape)
    layer = FeedForward(6, "relu", dtype="float64")
    layer.build((*shape[:-1], 4))
    weights = [rng.normal(size=w.shape) for w in layer.get_weights()]
    layer.set_weights(weights)
    first, first_bias, second, second_bias = weights
    wanted = np.maximum(x @ first + first_bias, 0) @ second + second_bias
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(4,), (2, 3, None)], ids=str)
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match="`inputs` must be"):
        FeedForward(6).build(shape)


def test_its_projections_write_out_their_axes():
    """An ellipsis makes TensorFlow's gradient 50 times slower, and Keras cannot quantize it."""
    layer = FeedForward(6, "swiglu")
    layer.build((None, 5, 4))
    assert {dense.equation for dense in (layer.hidden, layer.gate, layer.output_dense)} == {
        "abi,io->abo"
    }


@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method:UserWarning")
def test_quantized(rng):
    x = rng.normal(size=(3, 5, 8)).astype("float32")
    inputs = keras.Input((5, 8))
    model = keras.Model(inputs, FeedForward(16, "swiglu")(inputs))
    model.set_weights([rng.normal(scale=0.3, size=w.shape) for w in model.get_weights()])
    before = model.predict(x, verbose=0)
    model.quantize("int8")
    error = np.abs(model.predict(x, verbose=0) - before).max() / np.abs(before).max()
    assert 0 < error < 0.05  # some roundings of 1/127
