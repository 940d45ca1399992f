import csv
import json

import keras
import numpy as np
import pytest

from wdattn.callbacks import Monitor
from wdattn.diagnostics import effective_rate, hessian_trace, weight_norms

X = np.random.default_rng(1).normal(size=(12, 3)).astype("float32")
Y = X[:, :1]


@pytest.fixture
def model(rng):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([rng.normal(size=(3, 1))])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def fit(model, *callbacks, **options):
    options = {"batch_size": 2, "epochs": 2, "shuffle": False, "verbose": 0} | options
    model.fit(X, Y, callbacks=list(callbacks), **options)


def kernel(model):
    return np.array(model.get_weights()[0])


def path(start, steps):
    """The weights before each step and after the last, in float64."""
    found = [start.astype("float64")]
    for step in range(steps):
        x, y = (data[2 * step % 12 :][:2].astype("float64") for data in (X, Y))
        found.append(found[-1] - 0.1 * 2 * x.T @ (x @ found[-1] - y) / 2)
    return found


def test_every_so_many_steps_over_the_epochs_and_first_and_last(model):
    expected = path(kernel(model), 12)
    monitor = Monitor({"w": kernel}, every=5)
    fit(model, monitor)
    assert [(row["step"], row["epoch"]) for row in monitor.rows] == [
        (0, 0),
        (5, 0),
        (10, 1),
        (12, 1),
    ]
    # A row holds the weights after so many steps, which are taken in float32.
    for row in monitor.rows:
        found = [row[f"w/{place}/0"] for place in range(3)]
        np.testing.assert_allclose(found, expected[row["step"]].ravel(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("every", "steps"), [(1, [*range(13)]), (6, [0, 6, 12]), (12, [0, 12]), (100, [0, 12])]
)
def test_no_row_stands_twice(model, every, steps):
    monitor = Monitor({"one": lambda model: 1}, every)
    fit(model, monitor)
    assert [row["step"] for row in monitor.rows] == steps


def test_the_model_is_not_touched_on_skipped_steps(model):
    # On JAX the callback's `model` copies the state each time it is read.
    reads, inside = [], []

    class Counting(Monitor):
        @property
        def model(self):
            reads.extend(inside)
            return super().model

        def on_train_batch_begin(self, batch, logs=None):
            inside.append(batch)
            super().on_train_batch_begin(batch, logs)
            inside.clear()

        def on_train_batch_end(self, batch, logs=None):
            inside.append(batch)
            super().on_train_batch_end(batch, logs)
            inside.clear()

    fit(model, Counting({"one": lambda model: 1}, every=5))
    assert set(reads) == {0, 5, 4}  # the last in the second epoch, step 10


def test_training_is_the_same_with_and_without(model):
    start = model.get_weights()
    fit(model)
    alone = kernel(model)
    model.set_weights(start)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    diagnostics = {
        "trace": lambda model: hessian_trace(model, X, Y, "mse", 3),
        "norms": weight_norms,
    }
    fit(model, Monitor(diagnostics, every=1))
    np.testing.assert_array_equal(kernel(model), alone)


def test_diagnostics_of_this_package_by_their_fields(model, tmp_path):
    diagnostics = {
        "trace": lambda model: hessian_trace(model, X, Y, "mse", probes=50),
        "rate": effective_rate,
    }
    monitor = Monitor(diagnostics, every=4, file=tmp_path / "log.csv")
    fit(model, monitor)
    with (tmp_path / "log.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [list(row) for row in written] == [list(row) for row in monitor.rows]
    for text, row in zip(written, monitor.rows, strict=True):
        np.testing.assert_array_equal([float(text[name]) for name in row], list(row.values()))
    hessian = 2 * X.T @ X / 12
    for row in monitor.rows:
        error = row["trace/standard_error"]
        assert row["trace/value"] == pytest.approx(np.trace(hessian), abs=4 * error)
        assert row["rate/rate"] == pytest.approx(0.1)


def test_jsonl(model, tmp_path):
    monitor = Monitor({"w": kernel, "none": lambda model: np.nan}, 10, tmp_path / "log.jsonl")
    fit(model, monitor)
    written = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert written == [row | {"none": None} for row in monitor.rows]


def test_the_weights_of_one_step_before(model):
    weights = path(kernel(model), 12)
    monitor = Monitor({"rate": effective_rate}, every=5)
    fit(model, monitor)
    rotations = {row["step"]: row["rate/rotation"] for row in monitor.rows}
    for step in (5, 10):
        a, b = weights[step - 1].ravel(), weights[step].ravel()
        angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        # A turn of about 0.1 by weights in float32.
        assert rotations[step] == pytest.approx(angle, abs=1e-5)
    assert np.isnan(rotations[0]) and np.isnan(rotations[12])


def test_a_second_fit_goes_on(model):
    monitor = Monitor({"one": lambda model: 1}, every=5)
    fit(model, monitor)
    fit(model, monitor, epochs=1)
    assert [row["step"] for row in monitor.rows] == [0, 5, 10, 12, 12, 15, 18]


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_data_of_unknown_length(model):
    def batches():
        for _ in range(7):
            yield X[:2], Y[:2]

    monitor = Monitor({"w": kernel}, every=2)
    model.fit(batches(), shuffle=False, verbose=0, callbacks=[monitor])
    assert [row["step"] for row in monitor.rows] == [0, 2, 4, 6, 7]


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras has it not on PyTorch")
def test_several_steps_an_execution(model):
    model.compile(keras.optimizers.SGD(0.1), "mse", steps_per_execution=3)
    monitor = Monitor({"rate": effective_rate}, every=4)
    fit(model, monitor)
    # Between executions alone: the first one at 4 or later is 6, at 8 or later 9.
    assert [row["step"] for row in monitor.rows] == [0, 6, 9, 12]
    assert np.isnan([row["rate/rotation"] for row in monitor.rows]).all()


def test_with_validation_and_early_stopping(model):
    monitor = Monitor({"w": kernel}, every=4)
    stop = keras.callbacks.EarlyStopping("loss", mode="max", patience=1)
    fit(model, monitor, stop, epochs=9, validation_data=(X, Y))
    assert [row["step"] for row in monitor.rows] == [0, 4, 8, 12]


def test_what_a_diagnostic_raises_is_raised(model):
    def broken(model):
        raise ZeroDivisionError("my own")

    with pytest.raises(ZeroDivisionError, match="my own"):
        fit(model, Monitor({"broken": broken}, every=1))


def test_stop_iteration_does_not_end_the_epoch_without_a_word(model):
    """Keras would take it for the end of the data."""
    with pytest.raises(RuntimeError, match="the diagnostic 'empty' raised StopIteration"):
        fit(model, Monitor({"empty": lambda model: next(iter(()))}, every=4))


def test_a_model_that_fit_builds():
    model = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    monitor = Monitor({"w": kernel, "rate": effective_rate}, every=4)
    fit(model, monitor)
    # TensorFlow's first step builds it.
    first = 1 if keras.backend.backend() == "tensorflow" else 0
    assert [row["step"] for row in monitor.rows] == [first, 4, 8, 12]


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras has it not on PyTorch")
@pytest.mark.parametrize("every", [1, 4])
def test_several_steps_an_execution_that_do_not_divide_the_epoch(model, every):
    expected = path(kernel(model), 12)
    model.compile(keras.optimizers.SGD(0.1), "mse", steps_per_execution=4)
    monitor = Monitor({"w": kernel}, every)
    fit(model, monitor)  # two epochs of 6 batches: executions of 4, 2, 4 and 2
    assert [row["step"] for row in monitor.rows] == [0, 4, 6, 10, 12] if every == 1 else [0, 4, 10]
    for row in monitor.rows:
        found = [row[f"w/{place}/0"] for place in range(3)]
        np.testing.assert_allclose(found, expected[row["step"]].ravel(), rtol=1e-5, atol=1e-6)


def test_columns_that_change_are_named(model, tmp_path):
    diagnostic = {"w": lambda model, seen=[]: seen.append(1) or {str(len(seen)): 1}}
    with pytest.raises(ValueError, match=r"has \['w/2'\] more and lacks \['w/1'\]"):
        fit(model, Monitor(diagnostic, every=1, file=tmp_path / "log.csv"))


@pytest.mark.parametrize(
    ("diagnostics", "every", "word"),
    [
        ({}, 1, "`diagnostics` must map one or more names to callables"),
        ([kernel], 1, "`diagnostics` must map one or more names to callables"),
        ({3: kernel}, 1, "`diagnostics` must map one or more names to callables"),
        ({"a": 3}, 1, "`diagnostics` must map one or more names to callables"),
        ({"a": kernel}, 0, "`every` must be an int >= 1, got 0"),
        ({"a": kernel}, 1.0, "`every` must be an int >= 1, got 1.0"),
        ({"a": kernel}, True, "`every` must be an int >= 1, got True"),
    ],
)
def test_bad_input_is_named(diagnostics, every, word):
    with pytest.raises(ValueError, match=word):
        Monitor(diagnostics, every)


def test_bad_file_is_named():
    with pytest.raises(ValueError, match="`file` must be a path that ends in .csv or .jsonl"):
        Monitor({"a": kernel}, 1, "log.txt")
