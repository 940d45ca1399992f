"""One seed is one start, and one file one model, on every backend.

The numbers here are held on each backend by itself. The slow test starts the other ones.
"""

import functools
import hashlib
import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from wdattn import layers
from wdattn.data import in_context_regression
from wdattn.models import LinearTransformer

OTHERS = [name for name in ("jax", "tensorflow", "torch") if name != keras.backend.backend()]

ON_ANOTHER_BACKEND = """
import sys
import keras
import numpy as np
import wdattn.models  # registers the class
from wdattn.data import in_context_regression

folder, name = sys.argv[1:]
keras_runs_on = keras.backend.backend()
if keras_runs_on != name:
    raise SystemExit(f"wanted {name}, got {keras_runs_on}")
model = keras.saving.load_model(folder + "/model.keras")
x, y = in_context_regression(16, seed=9, step=4)
start = wdattn.models.LinearTransformer(seed=11)
images = np.load(folder + "/images.npy")
vision = keras.saving.load_model(folder + "/vision.keras")
np.savez(
    folder + "/" + name,
    x=x,
    y=y,
    prediction=keras.ops.convert_to_numpy(model(x)),
    logits=keras.ops.convert_to_numpy(vision(images)),
    **{f"loaded_{i}": w for i, w in enumerate(model.get_weights())},
    **{f"start_{i}": w for i, w in enumerate(start.get_weights())},
)
"""


def numpy_start(seed, depth, dim, stddev):
    """The start of a model, without Keras."""
    for layer in range(depth):
        for name in ("value", "key_query"):
            place = hashlib.sha256(f"attention_{layer}/{name}".encode()).digest()
            generator = np.random.default_rng([0x1A17, seed, *np.frombuffer(place, "<u4").tolist()])
            yield (stddev * generator.standard_normal((dim, dim))).astype("float32")


@pytest.mark.parametrize("seed", [0, 11, 2**32 - 1])
def test_start_is_bit_equal_to_numpys(seed):
    found = LinearTransformer(seed=seed).get_weights()
    for weight, wanted in zip(found, numpy_start(seed, 3, 5, 0.05), strict=True):
        assert np.array_equal(weight, wanted) and weight.dtype == np.float32


def test_golden_prediction():
    """Weights, data and forward pass together, against a number kept here."""
    x, _ = in_context_regression(2, seed=9, step=4)
    found = ops.convert_to_numpy(LinearTransformer(seed=11, stddev=0.3)(x)).ravel()
    np.testing.assert_allclose(found, GOLDEN, rtol=1e-5)  # float32, sums in any order


GOLDEN = [-3.1534769595588052, -0.917883213254898]  # by the literal formula in float64 NumPy


def vision_model():
    """Most layers, in one model, with layers inside of layers."""
    inputs = keras.Input((None, None, 3))
    x = layers.PatchEmbedding(2, 8, name="patches")(inputs)
    x = layers.PositionEmbedding(6, name="positions")(x)
    turned = [layers.QueryKeyNormalization, layers.RotaryEmbedding]
    factored = functools.partial(layers.MultiHeadAttention, 2, 4, query_key=turned)
    merged = functools.partial(layers.MultiHeadAttention, 2, 4, parametrization="merged")
    swiglu = functools.partial(layers.FeedForward, 6, "swiglu")
    x = layers.TransformerBlock(factored, name="block_0")(x, use_causal_mask=True)
    x = layers.TransformerBlock(merged, swiglu, "rms", name="block_1")(x)
    return keras.Model(inputs, layers.LayerNormalization(name="norm")(x))


@pytest.mark.slow
@pytest.mark.parametrize("other", OTHERS)
def test_file_and_seed_give_the_same_on_another_backend(other, tmp_path):
    if importlib.util.find_spec(other) is None:
        pytest.skip(f"{other} is not installed")
    model = LinearTransformer(2, 5, "full", stddev=0.2, seed=3)
    model.save(tmp_path / "model.keras")
    vision, generator = vision_model(), np.random.default_rng(0)
    vision.set_weights([generator.normal(scale=0.5, size=w.shape) for w in vision.get_weights()])
    vision.save(tmp_path / "vision.keras")
    images = generator.normal(size=(2, 4, 6, 3)).astype("float32")
    np.save(tmp_path / "images", images)
    environment = {**os.environ, "KERAS_BACKEND": other}
    command = [sys.executable, "-c", ON_ANOTHER_BACKEND, str(tmp_path), other]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]

    there = np.load(tmp_path / f"{other}.npz")
    x, y = in_context_regression(16, seed=9, step=4)
    assert np.array_equal(there["x"], x) and np.array_equal(there["y"], y)
    for index, weight in enumerate(model.get_weights()):
        assert np.array_equal(there[f"loaded_{index}"], weight)
    for index, weight in enumerate(LinearTransformer(seed=11).get_weights()):
        assert np.array_equal(there[f"start_{index}"], weight)
    prediction = ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(there["prediction"], prediction, rtol=1e-4, atol=1e-6)  # float32
    logits = ops.convert_to_numpy(vision(images))
    np.testing.assert_allclose(there["logits"], logits, rtol=1e-4, atol=1e-5)  # float32
