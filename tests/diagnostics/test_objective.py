"""What holds for every diagnostic: the loss it takes, the trace it leaves, what is compiled."""

import gc
import weakref

import keras
import numpy as np
import pytest

from wdattn import diagnostics
from wdattn.diagnostics import objective

DATA = np.random.default_rng(5)
X, Y = DATA.normal(size=(8, 3)), DATA.normal(size=(8, 1))
HESSIAN = 2 * X.T @ X / 8


def measure_all(model, x, y, loss=None):
    direction = [np.ones(variable.shape) for variable in model.trainable_variables]
    diagnostics.condition_number(model, x, y, loss)
    diagnostics.directional_smoothness(model, x, y, direction, loss)
    diagnostics.generalized_smoothness(model, x, y, loss)
    diagnostics.gradient_noise(model, [(x, y)] * 3, (x, y), loss)


def diagonal(model, loss=None, x=X, y=Y):
    return diagnostics.condition_number(model, x, y, loss).diagonal


@pytest.mark.parametrize(
    "loss",
    [
        "mse",
        "MeanSquaredError",
        keras.losses.MeanSquaredError(),
        keras.losses.mean_squared_error,  # one number a sample
        lambda y_true, y_pred: keras.ops.mean((y_true - y_pred) ** 2),
        lambda y_true, y_pred: (y_true - y_pred) ** 2,
    ],
    ids=["name", "class name", "object", "function", "scalar", "entries"],
)
def test_every_kind_of_loss(linear, loss):
    # Keras takes its means in float32.
    np.testing.assert_allclose(diagonal(linear, loss), np.diag(HESSIAN), rtol=1e-6)


def test_the_compiled_loss_holds_every_term():
    # Keras adds the terms up in float32, and on TensorFlow fails if one is float64.
    dense = keras.layers.Dense(
        1,
        use_bias=False,
        kernel_regularizer=keras.regularizers.L2(0.1),
        activity_regularizer=keras.regularizers.L2(0.3),
    )
    model = keras.Sequential([keras.Input((3,)), dense])
    model.compile("sgd", loss="mse")
    np.testing.assert_allclose(diagonal(model), np.diag(1.3 * HESSIAN) + 0.2, rtol=1e-5)
    np.testing.assert_allclose(diagonal(model, "mse"), np.diag(HESSIAN), rtol=1e-5)


def test_a_loss_of_the_models_own(linear):
    class Scaled(keras.Sequential):
        def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
            return (5.0 if training else 3.0) * keras.ops.mean((y - y_pred) ** 2)

    model = Scaled(linear.layers)
    model.build((None, 3))
    model.compile("sgd")
    np.testing.assert_allclose(diagonal(model), np.diag(3 * HESSIAN), rtol=1e-6)


def test_inference_mode(linear):
    layers = [keras.layers.BatchNormalization(center=False, scale=False, epsilon=0.25)]
    layers = [layers[0], keras.layers.Dropout(0.9), linear.layers[-1]]
    model = keras.Sequential([keras.Input((3,), dtype="float64"), *layers])
    # The moving mean is 0 and the moving variance 1 at the start. Batch norm works in float32.
    np.testing.assert_allclose(diagonal(model, "mse"), np.diag(HESSIAN) / 1.25, rtol=1e-5)


def two_headed():
    """Batch statistics, dropout seeds and a metric an output: all that a measurement could move."""
    inputs = keras.Input((3,), dtype="float64")
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(3, activation="tanh")(inputs))
    hidden = keras.layers.Dropout(0.5)(hidden)
    model = keras.Model(inputs, [keras.layers.Dense(1)(hidden), keras.layers.Dense(1)(hidden)])
    model.compile("adam", loss=["mse", "mae"])
    return model


def test_measuring_leaves_no_trace():
    keras.utils.set_random_seed(3)
    model, y = two_headed(), [Y, Y]
    diagnostics.condition_number(model, X, y)

    def state():
        variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
        return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]

    def draws():
        return [np.random.get_state()[1], keras.ops.convert_to_numpy(keras.random.normal((3,)))]  # noqa: NPY002

    keras.utils.set_random_seed(4)
    before, expected = state(), draws()
    keras.utils.set_random_seed(4)
    measure_all(model, X, y)
    for found, kept in zip([*state(), *draws()], [*before, *expected], strict=True):
        np.testing.assert_array_equal(found, kept)
    model.fit(X, y, verbose=0)


def test_no_gradient_is_left_behind(linear):
    measure_all(linear, X, Y, "mse")
    for variable in linear.trainable_variables:
        assert getattr(variable.value, "grad", None) is None


def test_compiled_once_for_a_model_and_a_loss(linear):
    calls = []

    def loss(y_true, y_pred):
        calls.append(1)
        return (y_true - y_pred) ** 2

    measure_all(linear, X, Y, loss)
    found, first = objective.derivatives(linear, loss, X, Y), len(calls)
    linear.set_weights([np.ones((3, 1))])
    measure_all(linear, 2 * X, Y, loss)
    assert objective.derivatives(linear, loss, X, Y) is found
    if keras.backend.backend() != "torch":  # which compiles nothing
        assert len(calls) == first
    # What was compiled at other weights and another batch does not stay.
    np.testing.assert_allclose(diagonal(linear, loss, 2 * X), np.diag(4 * HESSIAN), rtol=1e-10)
    gradient = 2 * X.T @ (X @ np.ones((3, 1)) - Y) / 8
    norm = diagnostics.generalized_smoothness(linear, X, Y, loss).gradient_norm
    assert norm == pytest.approx(np.linalg.norm(gradient), rel=1e-10)


def test_compiling_the_model_again_is_noticed(linear):
    linear.compile("sgd", loss="mse")
    once = diagonal(linear)
    linear.compile("sgd", loss="mse", loss_weights=2.0)
    np.testing.assert_allclose(diagonal(linear), 2 * once, rtol=1e-6)


def test_freezing_a_layer_is_noticed():
    model = keras.Sequential(
        [keras.Input((3,), dtype="float64"), keras.layers.Dense(2), keras.layers.Dense(1)]
    )
    assert diagonal(model, "mse").shape == (11,)
    model.layers[0].trainable = False
    assert diagonal(model, "mse").shape == (3,)


def test_neither_the_model_nor_the_loss_is_kept_alive():
    def loss(y_true, y_pred):
        return (y_true - y_pred) ** 2

    model = keras.Sequential([keras.Input((3,), dtype="float64"), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    measure_all(model, X, Y)
    measure_all(model, X, Y, loss)
    measure_all(model, X, Y, "mse")
    dead, before = [weakref.ref(model), weakref.ref(loss)], len(objective._COMPILED)
    del model, loss
    keras.backend.clear_session()
    gc.collect()
    assert [reference() for reference in dead] == [None, None]
    assert len(objective._COMPILED) < before


def test_several_inputs_by_name():
    inputs = {name: keras.Input((3,), name=name, dtype="float64") for name in "ab"}
    dense = keras.layers.Dense(1, use_bias=False, dtype="float64")
    model = keras.Model(inputs, dense(keras.layers.Add(dtype="float64")(list(inputs.values()))))
    found = diagonal(model, "mse", {"a": X, "b": X})
    np.testing.assert_allclose(found, np.diag(4 * HESSIAN), rtol=1e-6)


def test_layers_that_cannot_be_vectorised(rng):
    # On TensorFlow the second derivative of a recurrent layer is one.
    model = keras.Sequential([keras.Input((3, 1)), keras.layers.SimpleRNN(2)])
    x, y = rng.normal(size=(4, 3, 1)), rng.normal(size=(4, 2))
    found = objective.derivatives(model, "mse", x, y)
    rows = [found.product(vector, x, y) for vector in np.eye(found.size)]
    blocks = np.concatenate([block for _, block in found.rows(x, y)])
    np.testing.assert_allclose(blocks, rows, atol=1e-5)


def test_bad_input_is_named(linear):
    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    frozen = keras.Sequential([keras.Input((3,), dtype="float64"), keras.layers.Dense(1)])
    frozen.trainable = False
    for model, loss, word in (
        (linear, None, "not compiled: compile the model with a loss, or pass"),
        (linear, "mistake", "`loss` must be a name that keras.losses knows, got 'mistake'"),
        (linear, 3, "`loss` must be None, the name of a Keras loss or a callable, got 3"),
        (unbuilt, "mse", "is not built: call it once on data"),
        (frozen, "mse", "must have trainable variables"),
        ("model", "mse", "`model` must be a keras.Model, got 'model'"),
    ):
        with pytest.raises(ValueError, match=word):
            diagnostics.condition_number(model, X, Y, loss)


@pytest.mark.parametrize(
    ("x", "y", "word"),
    [
        (X[:, :2], Y, r"`x` must be inputs that `model` '.*' takes, got the shapes \(8, 2\)"),
        (X[:5], Y, r"`x` and `y` must hold one or more samples .* \(5, 3\) and \(8, 1\)"),
        (
            X,
            Y[:1],
            r"`x` and `y` must hold one or more samples",
        ),  # would be repeated without a word
        (X[:0], Y[:0], "must hold one or more samples"),
        (X, 1.0, "`y` must be an array"),
        (X, None, "`y` must be an array"),
        (None, Y, "`x` must be an array"),
        ("inputs", Y, "`x` must be an array"),
        (X.tolist(), Y, "`x` must be an array"),  # Keras takes a list for several inputs
        (X, np.ones((8, 3, 2)), r"`y` must be targets that `loss` takes, got the shapes \(8, 3, 2"),
    ],
)
def test_data_that_does_not_fit_is_named(linear, x, y, word, squared):
    def strict(y_true, y_pred):
        return keras.ops.matmul(y_true, y_pred)

    with pytest.raises(ValueError, match=word):
        diagonal(linear, strict if np.ndim(y) == 3 else squared, x, y)


@pytest.mark.parametrize("loss", [3, "no such loss", keras.losses.MeanSquaredError, ["mse"]])
def test_bad_loss_is_named(linear, loss):
    with pytest.raises(ValueError, match="`loss` must be"):
        diagonal(linear, loss)


@pytest.mark.parametrize("value", [None, 1.0, "three"])
def test_a_loss_that_returns_no_tensor_is_named(linear, value):
    with pytest.raises(ValueError, match="`loss` must return a tensor"):
        diagonal(linear, lambda y_true, y_pred: value)


def test_a_call_with_wrong_data_costs_later_ones_nothing(linear, squared, monkeypatch):
    """What does not fit must not be taken for a layer that cannot be vectorised."""
    vectorised, compiled = [], objective.autodiff.jit

    def counting(function):
        call = compiled(function)
        return lambda *args: vectorised.append(1) or call(*args)

    monkeypatch.setattr(objective.autodiff, "jit", counting)
    of_loss = objective.derivatives(linear, squared, X, Y)
    with pytest.raises(ValueError, match="`x` must be inputs"):
        of_loss.gradients([(X[:, :2], Y)] * 2)
    of_loss.gradients([(X, Y)] * 2)
    assert len(vectorised) == 2
