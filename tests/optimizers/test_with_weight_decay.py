"""Our decay on each of Keras's optimizers, and on somebody's own."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from wdattn.optimizers import with_weight_decay

REFUSED = {"Ftrl", "ScheduleFreeAdamW", "LossScaleOptimizer", "MultiOptimizer"}
EVERY = sorted(
    name
    for name, thing in inspect.getmembers(keras.optimizers, inspect.isclass)
    if issubclass(thing, keras.optimizers.Optimizer) and name != "Optimizer"
)
START = np.array([[1.0, -2.0], [0.5, 3.0]], "float32")
RULES = [("frozen", 0.0, 1.0), (".*", 1.0, 1.0)]


@pytest.mark.parametrize("name", sorted(set(EVERY) - REFUSED))
def test_zero_gradients_leave_the_decay_alone(applied, name):
    optimizer = with_weight_decay(getattr(keras.optimizers, name))(
        0.1, weight_decay=0.5, decay_rules=RULES
    )
    zero = [np.zeros_like(START)] * 2
    found, frozen = applied(optimizer, [START, START], [zero] * 5, ["free", "frozen"])
    np.testing.assert_allclose(found, START * 0.95**5, rtol=1e-6)
    np.testing.assert_array_equal(frozen, START)


@pytest.mark.parametrize("name", sorted(set(EVERY) - REFUSED))
def test_without_decay_it_is_the_optimizer(applied, rng, name):
    steps = [[rng.normal(size=START.shape).astype("float32")] for _ in range(5)]
    stock = getattr(keras.optimizers, name)
    off = {"weight_decay": 0.0} if name in ("AdamW", "Muon") else {}
    off |= {"adam_weight_decay": 0.0} if name == "Muon" else {}
    wanted = applied(stock(0.1, **off), [START], steps)
    found = applied(with_weight_decay(stock)(0.1, weight_decay=0.0), [START], steps)
    # Keras's PyTorch optimizers sum in another order when they take all variables at once.
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name):
    with pytest.raises(ValueError, match="`optimizer` must leave its weights") as error:
        with_weight_decay(getattr(keras.optimizers, name))
    assert name in str(error.value)


@pytest.mark.parametrize("bad", [keras.optimizers.Adam(), int, "adam"], ids=["made", "int", "str"])
def test_no_optimizer_class(bad):
    with pytest.raises(ValueError, match="`optimizer` must be a class"):
        with_weight_decay(bad)


def test_the_decay_must_be_given():
    with pytest.raises(ValueError, match="`weight_decay` must be .*, got None"):
        with_weight_decay(keras.optimizers.Lion)(0.1)


def test_one_class_each():
    assert with_weight_decay(keras.optimizers.Lion) is with_weight_decay(keras.optimizers.Lion)


@keras.saving.register_keras_serializable("mine")
class Signs(keras.optimizers.Optimizer):
    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, ops.sign(gradient) * learning_rate)


def test_somebodys_own(applied, tmp_path, small_model, xy):
    made = with_weight_decay(Signs)
    (found,) = applied(made(0.1, weight_decay=1.0), [START], [[np.ones_like(START)]])
    np.testing.assert_allclose(found, START * 0.9 - 0.1, rtol=1e-6)
    model = small_model()
    model.compile(made(0.1, weight_decay=0.5, decay_rules="kernels"), loss="mse")
    model.fit(*xy, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").optimizer
    assert type(again) is made and again.decay_rules == "kernels"
