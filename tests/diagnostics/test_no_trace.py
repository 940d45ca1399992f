"""Measuring changes no weight, mode, gradient or random state."""

import functools

import keras
import numpy as np
import pytest

from wdattn import diagnostics

DATA = np.random.default_rng(5)
X, Y = DATA.normal(size=(8, 3)).astype("float32"), DATA.normal(size=(8, 1)).astype("float32")

GAUGES = {
    "hessian_trace": lambda model: diagnostics.hessian_trace(model, X, Y, probes=3),
    "hessian_eigenvalues": lambda model: diagnostics.hessian_eigenvalues(model, X, Y, limit=4),
    "jacobian_norm": lambda model: diagnostics.jacobian_norm(model, X),
    "jacobian_norm by inputs": lambda model: diagnostics.jacobian_norm(model, X, "inputs"),
    "jacobian_norm_estimate": lambda model: diagnostics.jacobian_norm_estimate(model, X),
    "effective_rate": diagnostics.effective_rate,
    "weight_norms": diagnostics.weight_norms,
    "gradient_norms": lambda model: diagnostics.gradient_norms(model, X, Y),
}


@functools.cache
def model():
    """Batch statistics, dropout seeds, metrics and an optimizer's slots: all that could move."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(3, activation="tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=1),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ]
    )
    model.compile("adamw", "mse", metrics=["mae"])
    model.fit(X, Y, verbose=0)
    return model


def modes(model):
    return [getattr(layer, "training", None) for layer in (model, *model.layers)]


def gradients(model):
    found = [getattr(variable.value, "grad", None) for variable in model.trainable_variables]
    return [None if array is None else np.array(array) for array in found]


@pytest.mark.parametrize("name", GAUGES)
def test_nothing_is_changed(name):
    own = model()

    def state():
        variables = [*own.variables, *own.optimizer.variables, *own.metrics_variables]
        return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]

    def draws():  # NumPy's own generator, the backend's, and Keras' seeds
        dropped = own.layers[2](np.ones((2, 3), "float32"), training=True)
        return [
            np.random.get_state()[1].copy(),  # noqa: NPY002
            keras.ops.convert_to_numpy(keras.random.normal((3,))),
            keras.ops.convert_to_numpy(dropped),
        ]

    keras.utils.set_random_seed(4)
    start = state()
    expected = draws()
    for variable, kept in zip(
        [*own.variables, *own.optimizer.variables, *own.metrics_variables], start, strict=True
    ):
        variable.assign(kept)
    keras.utils.set_random_seed(4)
    before, mode, gradient = state(), modes(own), gradients(own)
    GAUGES[name](own)
    for found, kept in zip([*state(), *draws()], [*before, *expected], strict=True):
        np.testing.assert_array_equal(found, kept)
    assert modes(own) == mode
    for found, kept in zip(gradients(own), gradient, strict=True):
        np.testing.assert_array_equal(found, kept)


def test_the_names_that_later_layers_get_are_the_same():
    keras.backend.clear_session(free_memory=False)
    expected = keras.layers.Dense(1).name, keras.Variable(0.0).name
    keras.backend.clear_session(free_memory=False)
    own = model()
    for gauge in GAUGES.values():
        gauge(own)
    assert (keras.layers.Dense(1).name, keras.Variable(0.0).name) == expected
