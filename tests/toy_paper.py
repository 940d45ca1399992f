"""A toy paper: its settings, records that were made up, and a system small enough to train."""

import sys
from dataclasses import dataclass, replace

import keras
import numpy as np
import pytest

from wdattn.optimizers import Knob, Update, update_rules
from wdattn.reproduction import (
    Best,
    Claim,
    Control,
    Experiment,
    Inside,
    Paper,
    Record,
    Scale,
    Settings,
    System,
    at,
    difference,
    every,
    last,
    reads,
    single,
)
from wdattn.reproduction.run.stacking import Size

WEIGHTS = np.array([[1.0], [-2.0], [0.5]])
"""What the toy's batches are made with."""


@dataclass(frozen=True, kw_only=True)
class Toy(Settings):
    """A run of the toy paper; its rate is 0.1 unless it is given."""

    steps: int = 20
    kind: str = "plain"
    depth: int = 2

    def filled(self):
        return self if self.learning_rate is not None else replace(self, learning_rate=0.1)


@pytest.fixture
def toy():
    """The settings class, found by name when a record is read back."""
    assert sys.modules[Toy.__module__].Toy is Toy
    return Toy


@pytest.fixture
def experiment():
    return Experiment(
        "base",
        Toy,
        {"weight_decay": 0.5},
        watch={"loss": last(4), "height": at(5, 10), "width": every(10)},
        scales={
            "smoke": Scale(2, {"steps": 10, "depth": 1}, {"height": at(5)}),
            "laptop": Scale(5),
            "seeded": Scale((7, 9)),
        },
        source="Toy et al. (2024), Figure 1",
        expects="plain above fancy",
        notes={"smoke": "shallow"},
    )


@pytest.fixture
def finder():
    """Makes `find` from a function of settings and column to the cells: scalar or one a time."""

    def make(experiment, values, columns=("height",), scale="laptop", absent=()):
        def find(settings):
            if settings in absent:
                return None
            found = {}
            for name in columns:
                steps = np.array(experiment.at(scale).times(name, settings.steps))
                cells = np.broadcast_to(values(settings, name), steps.shape)
                found[name] = steps, cells.astype("float64")
            return Record(settings, found, {"backend": "jax", "id": settings.run_id("toy", "jax")})

        return find

    return make


# What can be trained: linear regression on fresh batches, by one dense layer


KERNEL, BIAS = "out/kernel", "out/bias"


def start(settings):
    """Kernel and bias of iterate 0."""
    rng = np.random.default_rng([settings.seed, 1])
    return {KERNEL: rng.normal(size=(3, 1)).astype("float32"), BIAS: np.zeros(1, "float32")}


def batch(settings, step):
    """The batch of a step; the targets of another stream are noisier."""
    rng = np.random.default_rng([settings.seed, settings.stream, step])
    x = rng.normal(size=(8, 3))
    y = x @ WEIGHTS + 0.1 * (1 + settings.stream) * rng.normal(size=(8, 1))
    return x.astype("float32"), y.astype("float32")


def squared_error(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_pred - y_true))


def build(settings):
    model = keras.Sequential([keras.layers.Dense(1, name="out")])
    model.build((None, 3))
    rule = update_rules.SGD(0.9) if settings.kind == "plain" else update_rules.Adam()
    update = Update(rule, Knob("learning_rate"), Knob("weight_decay"), clipnorm=Knob("clipnorm"))
    return System(model=model, loss=squared_error, update=update, start=start, batch=batch)


def height(snapshot):
    """Norm of the kernel, by way of the model."""
    return np.linalg.norm(keras.ops.convert_to_numpy(snapshot.model().trainable_variables[0]))


def width(snapshot):
    """Two numbers: the iterate and the bias."""
    return [snapshot.step, snapshot.weights[BIAS][0]]


def stride(snapshot):
    """Norm of the step that follows."""
    return np.sqrt(sum(np.sum(np.square(part, dtype="float64")) for part in snapshot.update()))


MEASURES = {"height": height, "width": width, "stride": stride}


@dataclass(frozen=True)
class ToyPaper(Paper):
    """A paper whose parts are in this file."""

    code: str = "toy-1"

    def build(self, settings):
        return self.code

    def system(self, settings):
        return build(settings)

    def size(self, settings):
        return Size(4)

    def measures(self, settings):
        return MEASURES


@reads("loss")
def end_loss(run):
    return np.log(np.median(run["loss"]))


@reads("height")
def end_height(run):
    return run["height"][-1]


@pytest.fixture
def system():
    return build


@pytest.fixture
def measures():
    return MEASURES


@pytest.fixture
def paper():
    """Claims on runs of 60 steps that train; `paper.claims` names what is asked."""
    plain, fancy = (
        {"kind": "plain", "learning_rate": 0.05},
        {"kind": "fancy", "learning_rate": 0.05},
    )
    tuned = {"kind": "fancy", "learning_rate": Best((0.01, 0.1, 1e38), by=end_loss, seeds=(90, 91))}
    diverged = {"kind": "plain", "learning_rate": 1e38}
    base = Experiment(
        "base",
        Toy,
        {"steps": 60},
        watch={"loss": last(10), "height": at(0, 30, 60), "stride": at(0, 59)},
        scales={"laptop": Scale(3), "smoke": Scale(2, {"steps": 12}, {"height": at(0, 12),
                                                                      "stride": at(0, 11)})},
    )  # fmt: skip
    control = Control({"kind": "fancy", "stream": 1})
    plainer = difference(end_loss, fancy, minus=plain)
    return ToyPaper(
        key="toy2024",
        title="Toys",
        citation="Toy et al.",
        claims=(
            Claim("C1", base, "Momentum is faster.", Inside(plainer, low=0.5), control=control),
            Claim(
                "C2", base, "It grows.", Inside(single(end_height, plain), low=1), control=control
            ),
            Claim(
                "C3",
                base,
                "Tuned it is as good.",
                Inside(difference(end_loss, tuned, minus=plain), low=-9, high=9),
                control=Control({"stream": 1}),
            ),
            Claim(
                "C4",
                base,
                "It diverges.",
                Inside(difference(end_loss, diverged, minus=plain), low=1),
                control=control,
            ),
        ),
        headline=("C1",),
        package="toys",
    )
