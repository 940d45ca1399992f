"""Muon against Keras' own on plain kernels, and against the paper's formula in float64."""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn.optimizers import Muon, MuonRule
from wdattn.optimizers.muon_rule import orthogonalize
from wdattn.optimizers.update_rules import Adam

SHAPE, STEPS = (6, 4), 10


def literal(matrix, iterations=5):
    """Newton and Schulz by the polynomial of the singular values."""
    u, s, v = np.linalg.svd(matrix / np.linalg.norm(matrix), full_matrices=False)
    for _ in range(iterations):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return u * s @ v


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (1, 3)])
@pytest.mark.parametrize("iterations", [1, 5])
def test_the_iteration_acts_on_singular_values_alone(rng, shape, iterations):
    matrix = rng.normal(size=shape)
    found = ops.convert_to_numpy(orthogonalize(ops.convert_to_tensor(matrix), iterations))
    # The norm of the matrix is regularised by 1e-7.
    np.testing.assert_allclose(found, literal(matrix, iterations), rtol=1e-5, atol=1e-6)


def test_equals_keras_on_a_plain_kernel(rng, applied):
    """Both scale by 0.2 sqrt(max(rows, columns)) and take Nesterov's momentum."""
    start = rng.normal(size=SHAPE).astype("float32")
    steps = [[rng.normal(size=SHAPE).astype("float32")] for _ in range(STEPS)]
    stock = keras.optimizers.Muon(0.01, weight_decay=0.1, momentum=0.9)
    (wanted,) = applied(stock, [start], steps, ["kernel"])
    (found,) = applied(Muon(0.01, 0.1, momentum=0.9), [start], steps, ["kernel"])
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)  # five products in float32


def by_hand(start, steps, rows, rate, decay, momentum):
    """Liu et al. (2025), Equations 1 and 4, in float64."""
    parameter, buffer = start.astype("float64"), 0.0
    for gradient in steps:
        buffer = momentum * buffer + gradient.astype("float64")
        turned = literal((gradient + momentum * buffer).reshape(rows, -1))
        step = 0.2 * np.sqrt(max(turned.shape)) * turned.reshape(start.shape)
        parameter = parameter - rate * (step + decay * parameter)
    return parameter


@pytest.mark.parametrize(
    ("name", "shape", "rows"),
    [
        ("attention/query/kernel", (6, 2, 3), 6),
        ("attention/attention_output/kernel", (2, 3, 6), 6),
        ("block/self_attention/attention_output/kernel", (2, 3, 5), 6),
    ],
)
def test_attentions_kernels_are_matrices(rng, name, shape, rows):
    start = rng.normal(size=shape)
    steps = [rng.normal(size=shape) for _ in range(STEPS)]
    direction = MuonRule(0.9).of(name, shape)
    parameter, slots = start, (ops.zeros(shape, "float64"),)
    for count, gradient in enumerate(steps, start=1):
        moved, slots = direction(ops.convert_to_tensor(gradient), slots, count)
        parameter = parameter - 0.01 * (ops.convert_to_numpy(moved) + 0.1 * parameter)
    wanted = by_hand(start, steps, rows, 0.01, 0.1, 0.9)
    np.testing.assert_allclose(parameter, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("dense/bias", (4,)),
        ("attention/query/bias", (2, 3)),
        ("tokens/embeddings", (9, 4)),
        ("query/lora_kernel_a", (6, 2)),
        ("convolution/kernel", (3, 3, 2, 4)),
        ("head/kernel", (4, 9)),
    ],
)
def test_the_rest_moves_by_adam(name, shape):
    adam = Adam(0.8)
    assert MuonRule(adam=adam, exclude=["^head"]).of(name, shape) is adam


def test_a_model_with_attention_trains(rng):
    inputs = keras.Input((4, 6))
    attended = keras.layers.MultiHeadAttention(2, 3, name="attention")(inputs, inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="last")(attended))
    x = rng.normal(size=(32, 4, 6)).astype("float32")
    model.compile(Muon(0.02, 0.01), loss="mse")
    losses = model.fit(x, x[..., :1], epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    names = [variable.path.rsplit("/", 1)[-1] for variable in model.optimizer.variables]
    kernels = [name for name in names if "kernel" in name]
    assert len(kernels) == 5 and all("buffer" in name for name in kernels)


@pytest.mark.parametrize(
    ("name", "value"),
    [("momentum", 1.0), ("nesterov", 1), ("iterations", 0), ("exclude", "head"), ("beta_1", -1)],
)
def test_bad_argument(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        Muon(**{name: value})
