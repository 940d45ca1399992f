"""Small float64 models whose Hessian is known, and the dense twin by central differences."""

import keras
import numpy as np
import pytest

from wdattn import autodiff
from wdattn.models import LinearTransformer


def _square(y_true, y_pred):
    """The squared error in the precision of the outputs, which Keras's "mse" is not."""
    return (y_true - y_pred) ** 2


@pytest.fixture
def squared():
    return _square


class Linear(keras.layers.Layer):
    """A dense layer in float64 throughout: `ops.matmul` is float32 on PyTorch."""

    def build(self, input_shape):
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], 1))

    def call(self, inputs):
        return keras.ops.sum(inputs[..., None] * self.kernel, axis=1)


@pytest.fixture
def linear(rng):
    """`x @ w` without a bias: the mean squared error has the Hessian `2 x^T x / n`."""
    model = keras.Sequential([keras.Input((3,), dtype="float64"), Linear(dtype="float64")])
    model.set_weights([rng.normal(size=(3, 1))])
    return model


@pytest.fixture
def stock(rng):
    """Embedding, attention, layer norm and a dense head from `keras.layers`, and their data."""
    options = {"dtype": "float64"}
    tokens = keras.Input((4,), dtype="int32")
    hidden = keras.layers.Embedding(3, 2, **options)(tokens)
    hidden = keras.layers.MultiHeadAttention(1, 2, **options)(hidden, hidden)
    hidden = keras.layers.LayerNormalization(epsilon=0.1, **options)(hidden)
    hidden = keras.layers.Flatten(**options)(hidden)
    model = keras.Model(tokens, keras.layers.Dense(1, **options)(hidden))
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
    return model, rng.integers(0, 3, size=(5, 4)), rng.normal(size=(5, 1))


@pytest.fixture
def transformer(rng):
    """A linear transformer of two layers and a batch, away from its flat start."""
    model = LinearTransformer(depth=2, dim=2, dtype="float64", seed=0)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
    return model, rng.normal(size=(6, 5, 3)), rng.normal(size=(6, 1))


def _dense_hessian(model, x, y, step=2e-3):
    def loss(x, y):
        # Not `ops.mean`, which is float32 on JAX and PyTorch.
        return keras.ops.sum((model(x, training=False) - y) ** 2) / y.shape[0]

    derivative = autodiff.value_and_grad(loss, model.trainable_variables)

    def gradient(flat):
        start = 0
        for variable in model.trainable_variables:
            stop = start + int(np.prod(variable.shape))
            variable.assign(flat[start:stop].reshape(variable.shape))
            start = stop
        arrays = map(keras.ops.convert_to_numpy, derivative(x, y)[1])
        return np.concatenate([array.ravel() for array in arrays])

    weights = model.get_weights()
    variables = map(keras.ops.convert_to_numpy, model.trainable_variables)
    centre = np.concatenate([array.ravel() for array in variables])
    bumps = step * np.eye(len(centre))

    def slope(bump):
        return (gradient(centre + bump) - gradient(centre - bump)) / (2 * step)

    hessian = [(4 * slope(bump) - slope(2 * bump) / 2) / 3 for bump in bumps]
    model.set_weights(weights)
    return np.stack(hessian)


@pytest.fixture
def dense_hessian():
    """The Hessian of the mean squared error: central differences of gradients, fourth order.

    Good to about 1e-8 in float64. Keras's own layers compute in float32 in places, which leaves
    about 1e-5 of the largest entry.
    """
    return _dense_hessian
