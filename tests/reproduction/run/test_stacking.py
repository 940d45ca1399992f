"""Which runs are trained together: tiny systems whole, small nets where it pays, within memory."""

import dataclasses

import keras
import pytest

from tests.toy2024 import system as toys
from tests.toy2024.settings import Toy
from wdattn.reproduction.run import stacking
from wdattn.reproduction.run.stacking import Size, size_of, stacks

TINY, SMALL, LARGE = Size(1000, 2), Size(100_000, 2), Size(2_000_000, 2)


def runs(count, **change):
    return [Toy(seed=seed, learning_rate=0.1, **change) for seed in range(count)]


@pytest.mark.parametrize(
    ("size", "backend", "jobs", "lengths"),
    [
        (TINY, "jax", 1, [7]),
        (TINY, "tensorflow", 4, [7]),
        (TINY, "torch", 4, [7]),
        (SMALL, "jax", 2, [1] * 7),
        (SMALL, "tensorflow", 2, [1] * 7),
        (SMALL, "torch", 1, [7]),
        (SMALL, "torch", 2, [4, 3]),
        (SMALL, "torch", 4, [2, 2, 2, 1]),
        (LARGE, "torch", 2, [1] * 7),
    ],
)
def test_a_backend_stacks_what_it_gains_from(size, backend, jobs, lengths):
    given = runs(7)
    found = stacks(given, lambda run: size, backend, jobs)
    assert [len(one) for one in found] == lengths
    assert [run for one in found for run in one] == given  # in their order


def test_memory_is_a_bound(monkeypatch):
    size = Size(1000, slots=2, batch=100, activations=50)
    one = 4 * (2 + 2) * 1000 + 2 * 100 + 50  # weights, gradients, slots; this batch and the next
    assert size.stack(1) == one and size.stack(3) == 3 * one
    assert size.stack(1, "float64") == one + 4 * 4 * 1000
    assert size.stack(1, "mixed_bfloat16") == one  # weights and slots are float32
    for fitting, lengths in ((3, [3, 3, 1]), (7, [7]), (0.5, [1] * 7)):
        monkeypatch.setattr(stacking, "MOST_TOGETHER", int(fitting * one))
        found = stacks(runs(7), lambda run: size, "jax", 1)
        assert [len(group) for group in found] == lengths


def test_only_what_may_share_a_stack_shares_one():
    given = [*runs(2), *runs(2, kind="fancy"), *runs(1, precision="float64")]
    asked = []
    found = stacks(given, lambda run: asked.append(run) or TINY, "jax", 1)
    assert found == [given[:2], given[2:4], given[4:]]
    assert asked == [given[0], given[2], given[4]]  # once a group


def test_the_size_of_a_system_at_hand():
    run = Toy(learning_rate=0.1)
    system = toys.build(run)
    assert size_of(system, run) == Size(4, 1, 4 * (8 * 3 + 8))
    frozen = dataclasses.replace(system, model=keras.Sequential([keras.Input((3,)),
                                 keras.layers.BatchNormalization()]))  # fmt: skip
    assert size_of(frozen, run).parameters == 6  # its statistics are not trained
