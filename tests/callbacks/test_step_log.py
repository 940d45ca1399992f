"""Each step's own numbers against a training by hand."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from wdattn.callbacks import StepLog
from wdattn.optimizers import AdamW
from wdattn.schedules import Linear

LOSSES = np.array([0.0, 1.0, 4.0, 9.0])
X = np.sqrt(np.repeat(LOSSES, 2))[:7, None]  # the last batch is smaller


def model(optimizer):
    """Its loss on a batch is the mean of the squared inputs; weights that do not matter."""
    inputs = keras.Input((1,))
    made = keras.Model(inputs, inputs + 0 * keras.layers.Dense(1, name="dense")(inputs))
    made.compile(optimizer, loss="mse")
    return made


def fit(made, log, **kwargs):
    arguments = {"batch_size": 2, "shuffle": False, "verbose": 0, "callbacks": [log]} | kwargs
    return made.fit(X, np.zeros_like(X), **arguments)


def test_the_loss_is_the_steps_and_not_the_mean():
    log, seen = StepLog(), []
    keras_says = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda b, logs: seen.append(logs)
    )
    fit(model("sgd"), log, callbacks=[log, keras_says], epochs=2)
    assert [row["loss"] for row in log.rows] == pytest.approx([*LOSSES, *LOSSES], rel=1e-6)
    running = [0, 0.5, 5 / 3, (2 * LOSSES[:3].sum() + 9) / 7]
    assert [logs["loss"] for logs in seen[:4]] == pytest.approx(running, rel=1e-6)
    assert [row["step"] for row in log.rows] == list(range(8))
    assert [row["epoch"] for row in log.rows] == [0] * 4 + [1] * 4


def test_rate_and_decay_are_those_of_the_step():
    log = StepLog()
    fit(model(AdamW(Linear(0.4, 0.0, 4), Linear(0.0, 0.2, 4))), log)
    for name, wanted in (
        ("learning_rate", [0.4, 0.3, 0.2, 0.1]),
        ("weight_decay", [0.0, 0.05, 0.1, 0.15]),
        ("rate_times_decay", [0.0, 0.015, 0.02, 0.015]),
    ):
        assert [row[name] for row in log.rows] == pytest.approx(wanted, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("scaled", [False, True])
def test_the_gradient_norm(rng, scaled):
    x, y = rng.normal(size=(6, 3)).astype("float32"), rng.normal(size=(6, 1)).astype("float32")
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    kernel, bias = made.get_weights()
    optimizer = AdamW(0.1, 0.1, global_clipnorm=1e-3)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)
    made.compile(optimizer, loss="mse")
    log = StepLog()
    made.fit(x, y, batch_size=6, verbose=0, callbacks=[log])
    error = 2 * (x @ kernel + bias - y) / 6
    wanted = np.sqrt(np.sum((x.T @ error) ** 2) + np.sum(error) ** 2)
    assert log.rows[0]["gradient_norm"] == pytest.approx(wanted, rel=1e-5)


def test_a_stock_optimizer_has_no_gradient_norm():
    log = StepLog()
    fit(model(keras.optimizers.AdamW(0.1, 0.2)), log)
    assert "gradient_norm" not in log.rows[0]
    assert log.rows[0]["rate_times_decay"] == pytest.approx(0.02)
    log = StepLog()
    fit(model("sgd"), log)
    assert set(log.rows[0]) == {"step", "epoch", "loss", "learning_rate"}


def test_every_and_a_file(tmp_path):
    log = StepLog(every=3, file=tmp_path / "log.jsonl")
    fit(model("sgd"), log, epochs=2)
    assert [row["step"] for row in log.rows] == [0, 3, 6]
    assert [row["loss"] for row in log.rows] == pytest.approx([0.0, 9.0, 4.0], rel=1e-6)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == log.rows


def test_the_training_is_the_same_with_it(rng):
    x, y = rng.normal(size=(32, 3)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")
    weights = []
    for callbacks in ([], [StepLog()]):
        made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        made.set_weights([np.ones((3, 1)), np.zeros(1)])
        made.compile(AdamW(0.1, 0.1), loss="mse")
        made.fit(x, y, batch_size=8, verbose=0, shuffle=False, callbacks=callbacks)
        weights.append(ops.convert_to_numpy(made.layers[0].kernel))
    assert np.array_equal(*weights)


@pytest.mark.parametrize("every", [0, -1, 1.0, True, None])
def test_bad_every(every):
    with pytest.raises(ValueError, match="`every` must be"):
        StepLog(every)


def test_bad_file():
    with pytest.raises(ValueError, match="`file` must end in"):
        StepLog(file="log.txt")
