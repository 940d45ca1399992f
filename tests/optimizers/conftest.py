"""Variables, gradients and small models for the optimizers."""

import keras
import numpy as np
import pytest
import torch
from keras import ops


def _applied(optimizer, starts, gradients, names=None):
    """The weights after `optimizer.apply` of each step's gradients, as NumPy arrays."""
    names = names or [f"w{i}" for i in range(len(starts))]
    variables = [
        keras.Variable(start, name=name) for start, name in zip(starts, names, strict=True)
    ]
    optimizer.build(variables)
    for step in gradients:
        optimizer.apply([ops.convert_to_tensor(gradient) for gradient in step], variables)
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def _of_torch(optimizer, starts, steps, rates, decays, **arguments):
    """The weights by a PyTorch optimizer in float64, with the rate and the decay of each step."""
    parameters = [torch.nn.Parameter(torch.tensor(start.astype("float64"))) for start in starts]
    optimizer = optimizer(parameters, lr=1.0, foreach=False, **arguments)
    for gradients, rate, decay in zip(steps, rates, decays, strict=True):
        optimizer.param_groups[0].update(lr=float(rate), weight_decay=float(decay))
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = torch.tensor(gradient.astype("float64"))
        optimizer.step()
    return [parameter.detach().numpy() for parameter in parameters]


def _small_model(seed=0):
    """Two dense layers around a layer norm; the same weights on every backend."""
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(6, activation="tanh", name="first")(inputs)
    hidden = keras.layers.LayerNormalization(name="norm")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, name="last")(hidden))
    rng = np.random.default_rng(seed)
    model.set_weights([0.5 + 0.3 * rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def _data(rng, size=64):
    x = rng.normal(size=(size, 4)).astype("float32")
    return x, x[:, :1] - x[:, 1:2] ** 2


class _At(keras.callbacks.Callback):
    """Calls a function with the model at the end of one batch of `fit`."""

    def __init__(self, batch, action):
        super().__init__()
        self.batch, self.action = batch, action

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            self.action(self.model)


@pytest.fixture
def applied():
    return _applied


@pytest.fixture
def of_torch():
    return _of_torch


@pytest.fixture
def small_model():
    return _small_model


@pytest.fixture
def at_batch():
    return _At


@pytest.fixture
def xy(rng):
    return _data(rng)
