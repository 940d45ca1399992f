import keras
import numpy as np
import pytest

from wdattn import autodiff
from wdattn.diagnostics import gradient_norms, weight_norms


def test_weights(transformer):
    model, _, _ = transformer
    found = weight_norms(model, {"values": "value", "rest": ""})
    values = [
        w for w, v in zip(model.get_weights(), model.weights, strict=True) if "value" in v.path
    ]
    assert found.by_group["values"] == pytest.approx(np.sqrt(sum((w**2).sum() for w in values)))
    everything = np.concatenate([weight.ravel() for weight in model.get_weights()])
    assert found.total == pytest.approx(np.linalg.norm(everything), rel=1e-12)
    assert type(found.total) is type(found.by_group["rest"]) is float


def test_gradient_closed_form(linear, rng, squared):
    x, y, (w,) = rng.normal(size=(7, 3)), rng.normal(size=(7, 1)), linear.get_weights()
    expected = np.linalg.norm(2 * x.T @ (x @ w - y) / 7)
    found = gradient_norms(linear, x, y, squared)
    assert found.total == pytest.approx(expected, rel=1e-10)
    assert list(found.by_group.values()) == pytest.approx([expected], rel=1e-10)


def test_gradient_of_each_layer(stock, squared):
    model, x, y = stock
    variables = model.trainable_variables

    def loss(x, y):
        return keras.ops.sum((model(x, training=False) - y) ** 2) / 5

    gradients = autodiff.value_and_grad(loss, variables)(x, y)[1]
    squares = {}
    for variable, gradient in zip(variables, gradients, strict=True):
        layer = variable.path.rpartition("/")[0]
        squares[layer] = squares.get(layer, 0) + (keras.ops.convert_to_numpy(gradient) ** 2).sum()
    found = gradient_norms(model, x, y, squared)
    assert found.by_group == pytest.approx({k: v**0.5 for k, v in squares.items()}, rel=1e-5)
    assert found.total**2 == pytest.approx(sum(squares.values()), rel=1e-5)


def test_not_finite_is_nan(linear, squared):
    found = gradient_norms(linear, np.full((2, 3), np.inf), np.zeros((2, 1)), squared)
    assert np.isnan(found.total) and np.isnan(list(found.by_group.values())).all()


def test_bad_input_is_named(linear):
    with pytest.raises(ValueError, match="is not built: call it once on data"):
        weight_norms(keras.Sequential([keras.layers.Dense(1)]))
    with pytest.raises(ValueError, match="hold none of the trainable variables"):
        gradient_norms(linear, np.eye(3), np.zeros((3, 1)), "mse", {"a": "", "b": "nowhere"})
