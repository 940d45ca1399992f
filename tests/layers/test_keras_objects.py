import keras
import numpy as np
import pytest
from keras import ops

from wdattn.layers import FeedForward, MultiHeadAttention, PatchEmbedding, keras_objects


@keras.saving.register_keras_serializable("wdattn tests")
def sevens(shape, dtype=None):
    return 7 * ops.ones(shape, dtype)


@keras.saving.register_keras_serializable("wdattn tests")
def penalty(x):
    return ops.sum(ops.square(x))


@keras.saving.register_keras_serializable("wdattn tests")
def halved(x):
    return x / 2


def test_functions_are_initializers_regularizers_and_constraints(tmp_path):
    """As in Keras; saved by their registered names."""
    inputs = keras.Input((5, 4))
    layer = MultiHeadAttention(
        2, 3, kernel_initializer=sevens, kernel_regularizer=penalty, kernel_constraint=halved
    )
    model = keras.Model(inputs, FeedForward(3, kernel_initializer=sevens)(layer(inputs, inputs)))
    kernels = [v for v in model.weights if v.name == "kernel"]
    assert len(kernels) == 6
    assert all((ops.convert_to_numpy(kernel) == 7).all() for kernel in kernels)
    assert len(model.losses) == 4 and all(v.constraint is halved for v in kernels[:4])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[1].kernel_initializer is sevens


CHECKS = {
    "initializer": (keras_objects.initializer, keras.initializers.Ones()),
    "regularizer": (keras_objects.regularizer, keras.regularizers.L2()),
    "constraint": (keras_objects.constraint, keras.constraints.NonNeg()),
}


@pytest.mark.parametrize("kind", CHECKS)
def test_an_object_of_another_kind_is_refused(kind):
    """Keras takes it, since it can be called."""
    check, own = CHECKS[kind]
    assert check("mine", own) is own
    others = [other for name, (_, other) in CHECKS.items() if name != kind]
    for other in [*others, keras.layers.Dense(2), "no such thing", 3, {"class_name": "Dense"}]:
        with pytest.raises(ValueError, match=f"`mine` must be .*{kind}.* or a function, got"):
            check("mine", other)


def test_what_keras_has_and_ours_has_not_must_be_neutral():
    neutral = {"window": (None,), "axes": (None, 1)}
    config = {"name": "a", "window": None, "axes": 1}
    assert keras_objects.from_keras_config(config, neutral) == {"name": "a"}
    with pytest.raises(ValueError, match="`axes` must be None or 1 here, got 2"):
        keras_objects.from_keras_config(config | {"axes": 2}, neutral)


@pytest.mark.parametrize(
    ("given", "wanted"), [(0, False), (1, True), (np.True_, True), (True, True)]
)
def test_flags_of_a_call(given, wanted):
    assert keras_objects.call_flag("mine", given) is wanted
    for bad in (2, "no", None, 1.0):
        with pytest.raises(ValueError, match="`mine` must be True or False"):
            keras_objects.call_flag("mine", bad)


def test_a_projection_of_a_quantized_layer_has_a_float_kernel(rng):
    x = rng.normal(size=(3, 4, 6, 2)).astype("float32")
    layer = PatchEmbedding(2, 5)
    layer(x)
    exact = ops.convert_to_numpy(keras_objects.float_kernel(layer.projection))
    layer.projection.quantize("int8")
    found = ops.convert_to_numpy(keras_objects.float_kernel(layer.projection))
    assert exact.shape == found.shape == (8, 5)
    # Codes go from -127 to 127 over the largest entry of a column.
    step = np.abs(exact).max(0) / 127
    assert (np.abs(found - exact) <= 0.51 * step).all() and (found != exact).any()
