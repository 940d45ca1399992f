"""How a run is made: model, loss, update, start and batches."""

import keras
import numpy as np

from wdattn.optimizers import Knob, Update, update_rules
from wdattn.reproduction import System

KERNEL, BIAS = "out/kernel", "out/bias"
WEIGHTS = np.array([[1.0], [-2.0], [0.5]])  # what the targets are made with


def build(settings):
    """The system of every run that can be stacked with this one."""
    model = keras.Sequential([keras.layers.Dense(1, name="out")])
    model.build((None, 3))
    rule = update_rules.SGD(0.9) if settings.kind == "plain" else update_rules.Adam()
    update = Update(rule, Knob("learning_rate"), Knob("weight_decay"), clipnorm=Knob("clipnorm"))
    return System(model=model, loss=squared_error, update=update, start=start, batch=batch)


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
