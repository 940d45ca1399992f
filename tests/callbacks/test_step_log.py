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
        ("decay_clock", [0.0, 0.015, 0.035, 0.05]),
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


class OwnTrackers(keras.Model):
    """Running means of its own and its own step, as keras.io's variational auto-encoder."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(1)
        self.total = keras.metrics.Mean(name="total_loss")
        self.every_other = keras.metrics.Mean(name="every_other")
        self.calls = 0

    def call(self, inputs):
        return inputs + 0 * self.dense(inputs)

    @property
    def metrics(self):
        return [self.total, self.every_other]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = ops.mean(ops.square(y_pred - y))
        if training:
            self.total.update_state(loss)
        return loss


def test_a_model_without_a_metric_named_loss():
    made = OwnTrackers()
    made.compile("sgd")
    log = StepLog()
    history = fit(made, log, epochs=2)
    assert [row["total_loss"] for row in log.rows] == pytest.approx([*LOSSES, *LOSSES], rel=1e-6)
    assert all(np.isnan(row["every_other"]) and "loss" not in row for row in log.rows)
    assert len(history.history["total_loss"]) == 2


def test_a_model_with_several_losses():
    inputs = keras.Input((1,))
    zero = 0 * keras.layers.Dense(1)(inputs)
    made = keras.Model(inputs, {"one": inputs + zero, "two": 2 * inputs + zero})
    made.compile("sgd", {"one": "mse", "two": "mse"})
    log = StepLog()
    made.fit(X, {"one": np.zeros_like(X), "two": np.zeros_like(X)}, batch_size=2, shuffle=False,
             verbose=0, callbacks=[log])  # fmt: skip
    for name, scale in (("loss", 5), ("one_loss", 1), ("two_loss", 4)):
        assert [row[name] for row in log.rows] == pytest.approx(scale * LOSSES, rel=1e-6)


def test_several_optimizers_have_no_rate():
    made = model(keras.optimizers.MultiOptimizer(lambda variable: keras.optimizers.SGD(0.1)))
    log = StepLog()
    fit(made, log)
    assert [row["loss"] for row in log.rows] == pytest.approx(LOSSES, rel=1e-6)
    assert "learning_rate" not in log.rows[0]


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras has it not on PyTorch")
@pytest.mark.parametrize(("every", "rows"), [(1, [0, 3, 4, 7]), (3, [0, 3, 4]), (5, [0, 4])])
def test_several_steps_an_execution(every, rows):
    made, log = model(keras.optimizers.SGD(0.1)), StepLog(every)
    made.compile(keras.optimizers.SGD(0.1), "mse", steps_per_execution=3)
    fit(made, log, epochs=2)  # two epochs of 4 steps: executions of 3, 1, 3 and 1
    assert [row["step"] for row in log.rows] == rows
    means = {0: LOSSES[:3].mean(), 3: 9.0, 4: LOSSES[:3].mean(), 7: 9.0}
    assert [row["loss"] for row in log.rows] == pytest.approx([means[s] for s in rows], rel=1e-6)


@pytest.mark.parametrize("every", [0, -1, 1.0, True, None])
def test_bad_every(every):
    with pytest.raises(ValueError, match="`every` must be"):
        StepLog(every)


def test_bad_file():
    with pytest.raises(ValueError, match="`file` must be a path that ends in"):
        StepLog(file="log.txt")
