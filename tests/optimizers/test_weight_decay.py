"""The decay inside of `fit`: set by a callback, saved, loaded, resumed, clipped, averaged."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from wdattn.optimizers import SGDW, AdamW, with_weight_decay
from wdattn.schedules import Cosine, Linear, Step, Warmup

NEXT = {"jax": "tensorflow", "tensorflow": "torch", "torch": "jax"}[keras.backend.backend()]


@keras.saving.register_keras_serializable("wdattn_tests")
def falling(step):
    return 0.5 / (1 + ops.cast(step, "float32"))


def number(scalar):
    return float(ops.convert_to_numpy(scalar))


def zero_loss(y_true, y_pred):
    """Its gradients are zeros."""
    return 0 * ops.sum(y_pred)


def trained(model, optimizer, xy, loss="mse", **kwargs):
    model.compile(optimizer, loss=loss, **{"jit_compile": kwargs.pop("jit_compile", "auto")})
    model.fit(*xy, **{"batch_size": 16, "epochs": 1, "verbose": 0, "shuffle": False} | kwargs)
    return model


# Assigned while `fit` runs


@pytest.mark.parametrize("way", ["plain", "eager", "loss scaling", "accumulation"])
def test_assigned_by_a_callback(small_model, at_batch, xy, way):
    """Four batches; from the third on the decay is another one. No gradient moves a weight."""
    model, start = small_model(), small_model().get_weights()
    optimizer = AdamW(0.1, 0.5, gradient_accumulation_steps=2 if way == "accumulation" else None)
    if way == "loss scaling":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0)

    def change(model):
        inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        inner.weight_decay = 2.0

    model.compile(optimizer, loss=zero_loss, run_eagerly=way == "eager")
    model.fit(*xy, batch_size=16, verbose=0, callbacks=[at_batch(1, change)])
    wanted = 0.95 * 0.8 if way == "accumulation" else 0.95**2 * 0.8**2
    for before, after in zip(start, model.get_weights(), strict=True):
        np.testing.assert_allclose(after, before * wanted, rtol=1e-6)


def test_a_schedule_or_function_cannot_be_set():
    for decay in (Step(0.1, 5), falling):
        optimizer = AdamW(0.1, decay)
        with pytest.raises(TypeError, match="cannot be set"):
            optimizer.weight_decay = 0.3


def test_only_a_number_can_be_set():
    optimizer = AdamW(0.1, 0.2)
    with pytest.raises(TypeError, match="a number only"):
        optimizer.weight_decay = Step(0.1, 5)
    with pytest.raises(ValueError, match="`weight_decay` must be"):
        optimizer.weight_decay = -1.0
    optimizer.weight_decay = 0
    assert number(optimizer.weight_decay) == 0


def test_functions_must_be_registered():
    for function in (lambda step: 0.1, number):
        with pytest.raises(
            ValueError, match="`weight_decay` must be a function that is registered"
        ):
            AdamW(0.1, function)


# Saved and loaded

STEPS = {
    "float": (0.01, 0.1, {}),
    "schedules": (Warmup(3, Cosine(0.01, 20)), Linear(0.5, 0.1, 12), {"coupling": "corrected"}),
    "function": (0.01, falling, {"coupling": "independent"}),
    "rules": (0.01, 0.1, {"decay_rules": [("norm|bias", 0.0, 1.0), (".*", 1.0, 0.5)]}),
    "effective": (0.01, 0.1, {"decay_rules": "kernels", "effective_rate": True}),
    "foreign": (
        keras.optimizers.schedules.CosineDecay(0.01, 20),
        0.1,
        {"coupling": "independent", "peak_learning_rate": 0.01, "global_clipnorm": 1.0},
    ),
}
MADE = {
    "AdamW": AdamW,
    "SGDW": lambda *args, **kwargs: SGDW(*args, momentum=0.9, nesterov=True, **kwargs),
    "Lion": lambda rate, decay, **kwargs: with_weight_decay(keras.optimizers.Lion)(
        rate, weight_decay=decay, **kwargs
    ),
}
CASES = [("AdamW", case) for case in STEPS] + [("SGDW", "rules"), ("Lion", "schedules")]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_saved_in_the_middle(small_model, xy, tmp_path, name, case):
    """Half of the steps, saved, loaded, the other half: as all of them at once."""
    rate, decay, kwargs = STEPS[case]
    model = trained(small_model(), MADE[name](rate, decay, **kwargs), xy)
    model.save(tmp_path / "half.keras")
    loaded = keras.saving.load_model(tmp_path / "half.keras")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert repr(loaded.optimizer.decay_table(loaded)) == repr(model.optimizer.decay_table(model))
    for continued in (model, loaded):
        continued.fit(*xy, batch_size=16, verbose=0, shuffle=False)
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_a_changed_decay_is_saved(small_model, xy, tmp_path):
    model = trained(small_model(), AdamW(0.01, 0.1), xy)
    model.optimizer.weight_decay = 0.7
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert number(loaded.optimizer.weight_decay) == pytest.approx(0.7)


ON_ANOTHER_BACKEND = """
import sys
import keras
import numpy as np
import wdattn.optimizers  # registers the classes
folder, name = sys.argv[1:]
assert keras.backend.backend() == name
model = keras.saving.load_model(folder + "/model.keras")
data = np.load(folder + "/data.npz")
model.fit(data["x"], data["y"], batch_size=16, verbose=0, shuffle=False)
np.savez(folder + "/" + name, *model.get_weights(), table=repr(model.optimizer.decay_table(model)))
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec(NEXT) is None, reason=f"{NEXT} is not installed")
def test_goes_on_another_backend(small_model, xy, tmp_path, other=NEXT):
    rate, decay, _ = STEPS["schedules"]
    optimizer = AdamW(rate, decay, coupling="corrected", decay_rules="no_bias_norm")
    model = trained(small_model(), optimizer, xy)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data", x=xy[0], y=xy[1])
    command = [sys.executable, "-c", ON_ANOTHER_BACKEND, str(tmp_path), other]
    environment = {**os.environ, "KERAS_BACKEND": other}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    model.fit(*xy, batch_size=16, verbose=0, shuffle=False)
    there = np.load(tmp_path / f"{other}.npz")
    for place, weight in enumerate(model.get_weights()):
        np.testing.assert_allclose(there[f"arr_{place}"], weight, rtol=1e-4, atol=1e-6)  # float32
    assert str(there["table"]) == repr(model.optimizer.decay_table(model))


def test_an_optimizers_checkpoint(small_model, xy):
    """Its variables alone, set in an optimizer made anew."""
    model = trained(small_model(), AdamW(0.01, 0.1), xy)
    other = AdamW(0.01, 0.1)
    other.build(model.trainable_variables)
    stored = {}
    model.optimizer.save_own_variables(stored)
    other.load_own_variables(stored)
    for one, copy in zip(model.optimizer.variables, other.variables, strict=True):
        assert np.array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(copy))
    assert [v.name for v in other.variables[:4]] == [
        "iteration",
        "learning_rate",
        "weight_decay",
        "gradient_norm",
    ]


# What Keras does around it


def test_the_global_norm_is_that_of_all_variables(applied, rng):
    gradients = [[rng.normal(size=4).astype("float32") for _ in range(2)]]
    starts = [np.zeros(4, "float32")] * 2
    rules = [("w0", 1.0, 2.0), (".*", 0.0, 1.0)]
    optimizer = SGDW(1.0, 0.1, global_clipnorm=0.5, decay_rules=rules)
    found = applied(optimizer, starts, gradients)
    norm = np.linalg.norm(np.concatenate(gradients[0]))
    np.testing.assert_allclose(found[0], -2 * gradients[0][0] * 0.5 / norm, rtol=1e-5)
    np.testing.assert_allclose(found[1], -gradients[0][1] * 0.5 / norm, rtol=1e-5)
    assert number(optimizer.gradient_norm) == pytest.approx(norm)  # before clipping


def test_accumulated_gradients(small_model, rng, xy):
    """Two batches of 16 as one of 32: a decay for each update, not for each batch."""
    kwargs = {"decay_rules": "kernels", "global_clipnorm": 1.0}
    once = trained(small_model(), SGDW(0.05, 0.3, **kwargs), xy, batch_size=32)
    twice = SGDW(0.05, 0.3, gradient_accumulation_steps=2, **kwargs)
    twice = trained(small_model(), twice, xy, batch_size=16)
    for one, other in zip(once.get_weights(), twice.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)  # float32 means of means


def test_the_average_is_that_of_decayed_weights(small_model, xy):
    model = small_model()
    start = model.get_weights()[0]
    optimizer = AdamW(0.1, 0.5, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=None)
    model.compile(optimizer, loss=zero_loss)
    model.fit(*xy, batch_size=32, verbose=0)  # two steps
    # Keras starts the average at the first weights after a step.
    wanted = start * (0.5 * 0.95 + 0.5 * 0.95**2)
    np.testing.assert_allclose(model.get_weights()[0], wanted, rtol=1e-5)


def test_the_effective_rate(small_model, xy):
    """The rate of a step is the given one times the norm of the decayed weights, at decay 0 too."""
    model = small_model()
    optimizer = SGDW(0.01, 0.0, decay_rules="kernels", effective_rate=True)
    plain = small_model()
    norm = np.sqrt(sum(np.sum(w**2) for w in (plain.get_weights()[0], plain.get_weights()[4])))
    trained(model, optimizer, xy, batch_size=64)
    trained(plain, SGDW(0.01 * float(norm), 0.0), xy, batch_size=64)
    for one, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_the_effective_rate_needs_a_decayed_variable(small_model):
    optimizer = SGDW(0.01, decay_rules="attention_only", effective_rate=True)
    with pytest.raises(ValueError, match="`effective_rate` must have"):
        optimizer.build(small_model().trainable_variables)


def test_an_embeddings_gradient(rng):
    """On TensorFlow it comes as slices; each row decays, also one that no token reads."""
    layer = keras.layers.Embedding(5, 3, name="tokens")
    model = keras.Sequential([keras.Input((2,), dtype="int32"), layer])
    start = model.get_weights()[0]
    model.compile(AdamW(0.1, 0.5), loss="mse")
    tokens = np.array([[0, 1], [1, 1]])
    model.fit(tokens, np.zeros((2, 2, 3)), batch_size=2, verbose=0)
    after = model.get_weights()[0]
    np.testing.assert_allclose(after[2:], start[2:] * 0.95, rtol=1e-6)
    moved = start[:2] * 0.95 - 0.1 * np.sign(start[:2])  # Adam's first step
    np.testing.assert_allclose(after[:2], moved, rtol=1e-3)
    gradient = np.zeros_like(start)
    for row in tokens.ravel():
        gradient[row] += 2 * start[row] / 12
    assert number(model.optimizer.gradient_norm) == pytest.approx(
        np.linalg.norm(gradient), rel=1e-5
    )


def test_a_variable_without_a_gradient_stays(applied):
    variable, other = keras.Variable([1.0], name="a"), keras.Variable([1.0], name="b")
    optimizer = AdamW(0.1, 0.5)
    optimizer.build([variable, other])
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([ops.zeros(1), None], [variable, other])
    assert number(variable[0]) == pytest.approx(0.95) and number(other[0]) == 1


def test_float64_variables(applied, rng):
    start = rng.normal(size=(3,))
    (found,) = applied(SGDW(0.5, 0.25), [start], [[np.zeros(3)]] * 2)
    assert found.dtype == np.float64 or found.dtype == np.float32
    np.testing.assert_allclose(found, start * 0.875**2, rtol=1e-6)


def test_exclusions_are_refused():
    with pytest.raises(TypeError, match="decay_rules"):
        AdamW().exclude_from_weight_decay(var_names=["bias"])
