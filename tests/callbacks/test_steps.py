"""The count of batches, fed as Keras feeds a callback: on every backend, also PyTorch, whose Keras
takes one step an execution.
"""

import keras
import numpy as np
import pytest

from wdattn.callbacks.steps import Steps


class Model:
    """What `Steps` reads of a model."""

    def __init__(self, steps_per_execution, optimizer=None):
        self.steps_per_execution = steps_per_execution
        self.optimizer = optimizer


def run(steps, model, batches, planned="batches", steps_itself=True):
    """An epoch of so many batches; returns the steps before each execution."""
    size, starts = model.steps_per_execution, []
    steps.begin_epoch(model)
    for first in range(0, batches, size):
        starts.append(steps.before(first))
        if steps_itself and model.optimizer is not None:
            for _ in range(min(size, batches - first)):
                model.optimizer.iterations.assign_add(1)
        steps.end_batch(first + size - 1)
    steps.end_epoch(model, batches if planned == "batches" else planned)
    return starts


def optimizer():
    made = keras.optimizers.SGD(0.1)
    made.build([keras.Variable(np.zeros(1))])
    return made


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("planned", ["batches", None])
def test_an_epoch_counts_its_batches(size, planned):
    steps, model = Steps(), Model(size, optimizer())
    first = run(steps, model, 5, planned)
    assert first == [*range(0, 5, size)] and steps.total == 5
    assert run(steps, model, 5, planned) == [5 + start for start in first]
    assert steps.total == 10


def test_a_shorter_epoch_after_a_longer_one():
    steps, model = Steps(), Model(1)
    run(steps, model, 5)
    run(steps, model, 2)
    assert steps.total == 7


def test_more_steps_than_planned():
    """With 4 steps planned and executions of 3, Keras takes 6 where the data has them."""
    steps, model = Steps(), Model(3, optimizer())
    run(steps, model, 6, planned=4)
    assert steps.total == 6


@pytest.mark.parametrize("own", [True, False])
def test_an_optimizer_that_does_not_step_leaves_what_was_planned(own):
    steps, model = Steps(), Model(3, optimizer() if own else None)
    run(steps, model, 5, steps_itself=False)
    assert steps.total == 5
    run(steps, model, 5, planned=None, steps_itself=False)
    assert steps.total == 11  # nothing says that the last execution was cut off


def test_an_epoch_without_a_batch():
    steps, model = Steps(), Model(1)
    run(steps, model, 0)
    assert steps.total == 0 and steps.before(2) == 2


def test_notes_that_come_out_of_order():
    steps, model = Steps(), Model(1)
    steps.begin_epoch(model)
    for batch in (0, 2, 1):
        steps.end_batch(batch)
    steps.end_epoch(model, 3)
    assert steps.total == 3


def test_inside_of_a_loss_scale():
    inner = optimizer()
    steps, model = Steps(), Model(2, keras.optimizers.LossScaleOptimizer(inner))
    steps.begin_epoch(model)
    inner.iterations.assign_add(3)
    for batch in (1, 3):
        steps.end_batch(batch)
    steps.end_epoch(model, None)
    assert steps.total == 3
