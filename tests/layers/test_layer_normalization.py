"""Layer and RMS normalisation held to NumPy, to Keras, and to second differences."""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn.layers import LayerNormalization, RMSNormalization

CLASSES = {
    "layer": (LayerNormalization, keras.layers.LayerNormalization),
    "rms": (RMSNormalization, keras.layers.RMSNormalization),
}
AXES = [-1, 1, (1, 2), [2, 1], (-1, -2), (0, 2)]


def numpy_form(kind, x, weights, axis, epsilon):
    axes = tuple(sorted(one % x.ndim for one in np.atleast_1d(axis)))
    shape = [size if place in axes else 1 for place, size in enumerate(x.shape)]
    first, *rest = (weight.reshape(shape) for weight in weights)
    if kind == "rms":
        return first * x / np.sqrt((x**2).mean(axes, keepdims=True) + epsilon)
    centred = x - x.mean(axes, keepdims=True)
    return first * centred / np.sqrt(x.var(axes, keepdims=True) + epsilon) + rest[0]


def made(kind, rng, x, which=0, **kwargs):
    layer = CLASSES[kind][which](**kwargs)
    layer.build(x.shape)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_equals_numpy(rng, kind, axis):
    x = 3 + 2 * rng.normal(size=(3, 4, 5))
    layer = made(kind, rng, x, axis=axis, epsilon=0.3, dtype="float64")
    wanted = numpy_form(kind, x, layer.get_weights(), axis, 0.3)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("axis", [-1, (1, 2)], ids=str)
def test_equals_keras_with_its_defaults(rng, kind, axis):
    x = rng.normal(size=(3, 4, 5)).astype("float32")
    ours, theirs = (made(kind, rng, x, which, axis=axis) for which in (0, 1))
    theirs.set_weights(ours.get_weights())
    assert [(v.name, v.shape) for v in ours.weights] == [(v.name, v.shape) for v in theirs.weights]
    wanted = ops.convert_to_numpy(theirs(x))
    np.testing.assert_allclose(ops.convert_to_numpy(ours(x)), wanted, rtol=0, atol=1e-5)


def curved(layer, x):
    """A loss whose Hessian sees the norm."""
    return lambda: ops.sum(layer(x) ** 4 + 0.3 * layer(x) * x)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("axis", [-1, (1, 2)], ids=str)
def test_second_derivatives_are_right(rng, second_derivative, kind, axis):
    x = keras.Variable(rng.normal(size=(3, 4, 5)), dtype="float64")
    layer = made(kind, rng, x, axis=axis, dtype="float64")
    found, wanted = second_derivative(curved(layer, x), [x, *layer.trainable_variables])
    np.testing.assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("which", [0, 1], ids=["ours", "Keras"])
def test_a_tape_over_a_tape_is_right_through_ours_alone(rng, which):
    """TensorFlow's own tapes, without the repair of `wdattn.autodiff`. Once Keras' layer is right
    there too, this fails, and ours has done its work.
    """
    if keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow only")
    import tensorflow as tf

    start, vector = rng.normal(size=(2, 3, 4, 5))
    x = keras.Variable(start, dtype="float64")
    layer = made("layer", rng, x, which, dtype="float64")

    def gradient():
        with tf.GradientTape() as tape:
            value = curved(layer, x)()
        return tape.gradient(value, x.value)

    with tf.GradientTape() as outer:
        product = tf.reduce_sum(gradient() * vector)
    found, sides = outer.gradient(product, x.value).numpy(), []
    for sign in (1, -1):
        x.assign(start + sign * 1e-5 * vector)
        sides.append(gradient().numpy())
    wanted = (sides[0] - sides[1]) / 2e-5
    error = np.abs(found - wanted).max() / np.abs(wanted).max()
    assert error > 0.02 if which else error < 1e-6


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_low_precision_is_computed_in_float32(rng, kind, policy):
    """A sum of squares of 1,000 overflows float16, and a mean of 200 swamps bfloat16."""
    x = (200 + rng.normal(size=(2, 64))).astype("float32")
    layer = made(kind, rng, x, dtype=policy)
    layer.set_weights([np.ones(64), np.zeros(64)][: len(layer.weights)])
    found = ops.convert_to_numpy(ops.cast(layer(x), "float64"))
    wanted = numpy_form(kind, x.astype("float64"), layer.get_weights(), -1, layer.epsilon)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=0.02)  # a rounding of numbers up to 4


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("axis", [3, (1, -2), (0, 3)], ids=str)
def test_axes_that_inputs_lack(kind, axis):
    with pytest.raises(ValueError, match="`axis` must be an int or different ints in"):
        CLASSES[kind][0](axis=axis)(np.ones((2, 3, 4), "float32"))


@pytest.mark.parametrize("kind", CLASSES)
def test_axes_of_unknown_length(kind):
    with pytest.raises(ValueError, match="`axis` must be axes of known length"):
        CLASSES[kind][0](axis=1)(keras.Input((None, 4)))


class Half(keras.constraints.Constraint):
    """Halves a weight."""

    def __call__(self, w):
        return w / 2


def test_regularizers_and_constraints_reach_their_weights(rng):
    """One step at rate 1 on the penalty alone, 3 |gamma|^2 + 5 |beta|^2, then the constraint."""
    layer = LayerNormalization(
        gamma_regularizer=keras.regularizers.L2(3.0),
        beta_regularizer=keras.regularizers.L2(5.0),
        gamma_constraint=Half(),
        beta_constraint=keras.constraints.NonNeg(),
        dtype="float64",
    )
    layer.build((None, 4))
    gamma, beta = rng.normal(size=(2, 4))
    layer.set_weights([gamma, beta])
    penalties = sorted(float(ops.convert_to_numpy(loss)) for loss in layer.losses)
    np.testing.assert_allclose(penalties, sorted([3 * (gamma**2).sum(), 5 * (beta**2).sum()]))
    constrained = [ops.convert_to_numpy(v.constraint(v.value)) for v in layer.weights]
    np.testing.assert_allclose(constrained, [gamma / 2, np.maximum(beta, 0)])


def swapped(layer):
    """As `keras.models.clone_model` takes it: ours in place of Keras'."""
    ours = {theirs: own for own, theirs in CLASSES.values()}
    return ours.get(type(layer), type(layer)).from_config(layer.get_config())


@pytest.mark.parametrize("kind", CLASSES)
def test_a_cloned_model_may_have_ours(rng, kind):
    theirs = CLASSES[kind][1]
    inputs = keras.Input((3, 4))
    model = keras.Model(inputs, theirs(axis=[1, 2], epsilon=0.1, name="norm")(inputs))
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    cloned = keras.models.clone_model(model, clone_function=swapped)
    cloned.set_weights(model.get_weights())
    assert type(cloned.get_layer("norm")) is CLASSES[kind][0]
    x = rng.normal(size=(2, 3, 4)).astype("float32")
    wanted = model.predict(x, verbose=0)
    np.testing.assert_allclose(cloned.predict(x, verbose=0), wanted, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`")
def test_the_scaling_that_keras_warns_of_is_refused():
    config = keras.layers.LayerNormalization(rms_scaling=True).get_config()
    with pytest.raises(ValueError, match="`rms_scaling` must be False here, got True"):
        LayerNormalization.from_config(config)
