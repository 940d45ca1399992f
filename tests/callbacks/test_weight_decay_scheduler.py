"""An epoch's decay: what trains with it, what is logged, who is refused."""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn.callbacks import WeightDecayScheduler
from wdattn.optimizers import AdamW
from wdattn.schedules import Step


def fit(optimizer, schedule, epochs=3):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer, loss=lambda y, p: 0 * ops.sum(p))
    x = np.zeros((4, 1), "float32")
    history = model.fit(x, x, batch_size=2, epochs=epochs, verbose=0,
                        callbacks=[WeightDecayScheduler(schedule)])  # fmt: skip
    return float(model.get_weights()[0][0, 0]), history.history["weight_decay"]


@pytest.mark.parametrize("scaled", [False, True])
def test_each_epoch_has_its_decay(scaled):
    optimizer = AdamW(0.1, 0.4)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0)
    weight, logged = fit(optimizer, lambda epoch, decay: decay / 2 if epoch else decay)
    assert logged == pytest.approx([0.4, 0.2, 0.1])
    assert weight == pytest.approx((0.96 * 0.98 * 0.99) ** 2, rel=1e-6)


def test_a_stock_optimizer_is_refused():
    with pytest.raises(ValueError, match="`optimizer` must be one of wdattn"):
        fit(keras.optimizers.AdamW(0.1), lambda epoch, decay: decay)


def test_a_schedule_in_the_optimizer_is_not_overruled():
    with pytest.raises(TypeError, match="cannot be set"):
        fit(AdamW(0.1, Step(0.1, 2)), lambda epoch, decay: decay)


@pytest.mark.parametrize("value", [-1.0, float("nan"), "0.1", None])
def test_a_bad_value(value):
    with pytest.raises(ValueError, match="`schedule` must return"):
        fit(AdamW(0.1), lambda epoch, decay: value)


def test_a_bad_schedule():
    with pytest.raises(ValueError, match="`schedule` must be callable"):
        WeightDecayScheduler(0.1)
