"""Values against closed forms in float64, peaks, and what may stand inside what."""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn import plots
from wdattn.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseSquareRoot,
    InverseTo,
    Linear,
    Piecewise,
    ProportionalTo,
    Step,
    Warmup,
)

T = np.arange(12.0)
KERAS = keras.optimizers.schedules.ExponentialDecay(0.5, decay_steps=3, decay_rate=0.5)

CASES = {
    "constant": (Constant(0.3), np.full(12, 0.3)),
    "linear": (Linear(0.8, 0.2, 6), 0.8 - 0.6 * np.minimum(T / 6, 1)),
    "linear up": (Linear(0.0, 1.0, 4), np.minimum(T / 4, 1)),
    "cosine": (
        Cosine(1.0, 8, floor=0.1),
        0.1 + 0.9 * (1 + np.cos(np.pi * np.minimum(T / 8, 1))) / 2,
    ),
    "cosine to zero": (Cosine(2.0, 5), 1 + np.cos(np.pi * np.minimum(T / 5, 1))),
    "exponential": (Exponential(0.7, 0.5, 3), 0.7 * 0.5 ** (T / 3)),
    "inverse square root": (InverseSquareRoot(0.4, 4), 0.4 / np.sqrt(1 + T / 4)),
    "off": (Step(0.1, 5), np.where(T < 5, 0.1, 0.0)),
    "steps": (Step(1.0, (2, 7), 0.1), np.where(T < 2, 1.0, np.where(T < 7, 0.1, 0.01))),
    "warmup": (Warmup(4, 0.6, start=0.2), np.where(T < 4, 0.2 + 0.1 * T, 0.6)),
    "warmup, cosine": (
        Warmup(3, Cosine(1.0, 6)),
        np.where(T < 3, T / 3, (1 + np.cos(np.pi * np.clip((T - 3) / 6, 0, 1))) / 2),
    ),
    "noam": (
        Warmup(4, InverseSquareRoot(0.5, 4)),
        np.where(T < 4, 0.5 * T / 4, 0.5 * np.sqrt(4 / np.maximum(T, 4))),
    ),
    "piecewise": (
        Piecewise((3, 8), (0.5, Linear(1.0, 0.0, 5), 0.25)),
        np.where(T < 3, 0.5, np.where(T < 8, 1 - (T - 3) / 5, 0.25)),
    ),
    "proportional": (ProportionalTo(Linear(1.0, 0.0, 10), 0.3), 0.3 * np.maximum(1 - T / 10, 0)),
    "proportional to Keras's": (ProportionalTo(KERAS, 2.0), 0.5 ** (T / 3)),
    "inverse": (InverseTo(Step(0.5, 4, 0.5), 0.1), np.where(T < 4, 0.2, 0.4)),
    "inverse to none": (
        InverseTo(Linear(0.0, 1.0, 4), 0.1),
        np.where(T > 0, 0.1 / np.minimum(np.maximum(T, 1) / 4, 1), 0.0),
    ),
}
EVERY = [pytest.param(*case, id=name) for name, case in CASES.items()]


@pytest.mark.parametrize(("schedule", "wanted"), EVERY)
def test_values(schedule, wanted):
    found = schedule.values(12)
    assert found.dtype == np.float32 and found.shape == (12,)
    # A few roundings of 6e-8, on numbers up to the largest.
    np.testing.assert_allclose(found, wanted, rtol=5e-7, atol=5e-7 * wanted.max())


@pytest.mark.parametrize(("schedule", "wanted"), EVERY)
def test_a_tensor_gives_what_an_integer_gives(schedule, wanted):
    for step in (0, 5):
        value = schedule(ops.convert_to_tensor(step, "int32"))
        assert keras.backend.standardize_dtype(value.dtype) == "float32" and value.shape == ()
        assert float(ops.convert_to_numpy(value)) == schedule.values([step])[0]


@pytest.mark.parametrize(("schedule", "wanted"), EVERY)
def test_peak_is_the_largest_value(schedule, wanted):
    if schedule.peak is None:
        assert isinstance(schedule, InverseTo) or schedule.rate is KERAS
    else:
        assert schedule.peak == pytest.approx(wanted.max())


def test_the_peak_of_a_warmup_may_be_its_start():
    assert Warmup(3, 0.5, start=2.0).peak == 2.0 and Warmup(3, 0.5, start=0.1).peak == 0.5


def test_a_step_of_float64_is_answered_in_float64():
    step = ops.convert_to_tensor(np.asarray(1.0, "float64"))
    found = ops.convert_to_numpy(Warmup(3, Linear(0.1, 0.0, 7))(step))
    np.testing.assert_allclose(found, 0.1 / 3, rtol=1e-14)
    assert ops.convert_to_numpy(Cosine(0.1, 3)(step)).dtype == np.float64  # if not to all digits


def test_peak_of_a_keras_schedule_is_not_known():
    assert Warmup(2, KERAS).peak is None and Piecewise(2, (1.0, KERAS)).peak is None


@pytest.mark.parametrize(("schedule", "wanted"), EVERY)
def test_serialised_and_back(schedule, wanted):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(again) is type(schedule)
    assert np.array_equal(again.values(12), schedule.values(12))


def test_keras_takes_one_as_its_rate():
    variable = keras.Variable([1.0])
    optimizer = keras.optimizers.SGD(Step(0.5, 1, 0.1))
    optimizer.build([variable])
    for wanted in (0.5, 0.45):
        optimizer.apply([ops.ones(1)], [variable])
        assert ops.convert_to_numpy(variable)[0] == pytest.approx(wanted)


def test_steps_may_be_named():
    assert Linear(1.0, 0.0, 10).values([0, 5, 100]).tolist() == [1.0, 0.5, 0.0]


def test_plotted():
    schedule = Warmup(3, Cosine(1.0, 6))
    figure = plots.curves(np.arange(12), {"rate": schedule.values(12)[None]})
    assert figure.axes[0].lines


def test_equal_by_value():
    assert Warmup(3, Cosine(1.0, 6)) == Warmup(3, Cosine(1.0, 6)) != Warmup(3, Cosine(1.0, 7))


BAD = [
    (lambda: Constant(-1), "value"),
    (lambda: Constant(float("nan")), "value"),
    (lambda: Constant("1"), "value"),
    (lambda: Linear(1.0, float("inf"), 3), "end"),
    (lambda: Linear(1.0, 0.0, 0), "steps"),
    (lambda: Linear(1.0, 0.0, 2.5), "steps"),
    (lambda: Cosine(1.0, 3, floor=-0.1), "floor"),
    (lambda: Exponential(1.0, 0.0, 3), "factor"),
    (lambda: Exponential(1.0, 1.1, 3), "factor"),
    (lambda: InverseSquareRoot(1.0, True), "steps"),
    (lambda: Step(1.0, 0), "boundaries"),
    (lambda: Step(1.0, (3, 2)), "boundaries"),
    (lambda: Step(1.0, (2, 2.5)), "boundaries"),
    (lambda: Step(1.0, 2, factor=2.0), "factor"),
    (lambda: Piecewise((), (1.0,)), "boundaries"),
    (lambda: Piecewise(3, (1.0,)), "pieces"),
    (lambda: Piecewise(3, (1.0, "x")), "pieces[1]"),
    (lambda: Warmup(3, None), "then"),
    (lambda: Warmup(3, -1.0), "then"),
    (lambda: Warmup(3, 1.0, start=-1), "start"),
    (lambda: ProportionalTo(1.0, -1), "factor"),
    (lambda: InverseTo("rate", 1.0), "rate"),
    (lambda: InverseTo(1.0, None), "product"),
]


@pytest.mark.parametrize(("make", "name"), BAD)
def test_bad_argument(make, name):
    with pytest.raises(ValueError) as error:
        make()
    assert f"`{name}` must be" in str(error.value) and "got" in str(error.value)
