"""Runs that start from other runs' weights, or follow their columns; and precision as a setting."""

import dataclasses
from dataclasses import dataclass

import keras
import numpy as np
import pytest

from tests.reproduction.run.test_training import twin
from tests.toy2024 import system as toys
from tests.toy2024.settings import Toy
from tests.toy_paper import ToyPaper, end_height, end_loss
from wdattn.reproduction import (
    Best,
    Claim,
    Control,
    Executor,
    Experiment,
    Follow,
    From,
    Inside,
    Request,
    Scale,
    Store,
    at,
    every,
    last,
    single,
)
from wdattn.reproduction.design.system import constant_knobs
from wdattn.reproduction.run.stacking import Size

STEPS = 12


@dataclass(frozen=True, kw_only=True)
class Branch(Toy):
    """`origin` gives the start, `followed` the rate."""

    steps: int = STEPS
    learning_rate: float | None = 0.05
    origin: str | None = None
    followed: str | None = None

    stackable = Toy.stackable | {"origin", "followed"}


def start(settings, given=None):
    return (given or {}).get("origin") or toys.start(settings)


def knobs(settings, step, given=None):
    turned = constant_knobs(settings, step)
    if given and "followed" in given:
        steps, values = given["followed"]
        turned["learning_rate"] = 0.02 * values[np.searchsorted(steps, step, "right") - 1]
    return turned


class Branches(ToyPaper):
    def system(self, settings):
        return dataclasses.replace(toys.build(settings), start=start, knobs=knobs)

    def size(self, settings):
        return Size(4)


WATCH = {"loss": last(5), "height": every(1), "width": at(0, STEPS)}
TRUNK = Experiment("trunk", Branch, {}, WATCH, {"laptop": Scale(2)})
PLAIN = {"kind": "plain"}
HALF = {"origin": From(TRUNK, PLAIN, share=0.5), "stream": 1}
TWIG = Experiment("twig", Branch, HALF, WATCH, {"laptop": Scale(2)})
LEAF = Experiment("leaf", Branch, {"origin": From(TWIG, {}), "steps": 3},
                  {"height": at(0, 3), "stride": at(0)}, {"laptop": Scale(2)})  # fmt: skip
FOLLOWER = Experiment("follower", Branch, {"followed": Follow(TRUNK, PLAIN, "height")},
                      WATCH, {"laptop": Scale(2)})  # fmt: skip
SEARCHED = PLAIN | {"learning_rate": Best((0.001, 0.05), by=end_loss, seeds=(90, 91))}
LATE = Experiment("late", Branch, {"origin": From(TRUNK, SEARCHED)}, WATCH, {"laptop": Scale(2)})


def claim(name, experiment):
    effect = single(end_height, {"kind": "plain"})
    return Claim(name, experiment, "?", Inside(effect, low=1), control=Control({"kind": "fancy"}))


PAPER = Branches(
    "branches2024", "Branches", "?",
    tuple(claim(f"C{n}", one) for n, one in enumerate((TRUNK, TWIG, LEAF, FOLLOWER, LATE), 1)),
    ("C1",), "tests.toy2024",
)  # fmt: skip


@pytest.fixture
def work(tmp_path):
    def run(*requests, paper=PAPER, folder="a"):
        executor = Executor(paper, "laptop", Store(tmp_path / folder, pytest.fail))
        with executor.store.writing():
            executor.fulfil([Request(*request) for request in requests])
        return executor

    return run


def records(executor):
    """(experiment, seed) to record."""
    every = Store(executor.store.folder, pytest.fail).records()
    return {(one.manifest["experiment"], one.settings.seed): one for one in every}


def kept(executor):
    return sorted(path.name for path in executor.store.folder.glob("weights/*"))


def test_a_run_starts_from_anothers_weights_and_so_does_the_next(work):
    executor = work((LEAF, {}, (0, 1), "height"))
    made = records(executor)
    assert set(made) == {(name, seed) for name in ("trunk", "twig", "leaf") for seed in (0, 1)}
    for seed in (0, 1):
        trunk, twig, leaf = (made[name, seed] for name in ("trunk", "twig", "leaf"))
        assert twig.settings.origin == f"{trunk.id}@6" and leaf.settings.origin == f"{twig.id}@12"
        assert trunk.kept == (6,) and twig.kept == (12,) and leaf.kept == ()
        assert set(trunk.columns) == set(twig.columns) == set()  # only their weights were read
    assert kept(executor) == sorted(
        [f"{made['trunk', seed].id}@6.npz" for seed in (0, 1)]
        + [f"{made['twig', seed].id}@12.npz" for seed in (0, 1)]
    )
    more = work(*((one, {}, (0, 1), "height") for one in (TWIG, LEAF)),
                (TRUNK, PLAIN, (0, 1), "height"))  # fmt: skip
    made = records(more)
    for seed in (0, 1):
        trunk, twig, leaf = (made[name, seed]["height"] for name in ("trunk", "twig", "leaf"))
        assert twig[0] == trunk[6] and leaf[0] == twig[12] and twig[1] != trunk[7]


def test_stacks_of_all_seeds(work):
    made = records(work((TWIG, {}, (0, 1), "loss")))
    assert len(made["twig", 0].manifest["members"]) == 2


def test_weights_that_are_gone_are_made_again_when_they_are_needed(work):
    executor = work((TWIG, {}, (0,), "loss"))
    before = records(executor)
    (path,) = executor.store.folder.glob("weights/*")
    whole = path.read_bytes()
    path.unlink()
    assert kept(work((TWIG, {}, (0,), "loss"))) == []  # nothing is to be made
    after = records(work((TWIG, {}, (0,), "height")))
    assert path.read_bytes() == whole
    assert after["twig", 0].manifest["weights"] == before["twig", 0].manifest["weights"]
    assert set(after["twig", 0].columns) == {"loss", "height"}


def test_broken_weights_are_told_and_made_again(work, tmp_path):
    executor = work((TWIG, {}, (0,), "loss"))
    (path,) = executor.store.folder.glob("weights/*")
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    lines = []
    executor = Executor(PAPER, "laptop", Store(tmp_path / "a", lines.append))
    with executor.store.writing():
        executor.fulfil([Request(TWIG, {}, (0,), "height")])
    assert path.read_bytes() == whole
    assert set(records(executor)["twig", 0].columns) == {"loss", "height"}
    assert len(lines) == 1 and lines[0].startswith(f"{path.name} was moved to")


def test_a_start_may_be_that_of_a_searched_run(work):
    made = records(work((LATE, {}, (0,), "loss"), (TRUNK, SEARCHED, (0,), "loss")))
    trunk, late = made["trunk", 0], made["late", 0]
    assert trunk.settings.learning_rate == 0.05 and late.settings.origin == f"{trunk.id}@12"


def test_a_run_follows_a_column_of_another(work):
    made = records(work((FOLLOWER, {}, (0, 1), "height"), (TRUNK, PLAIN, (0, 1), "height")))
    for seed in (0, 1):
        trunk, follower = made["trunk", seed], made["follower", seed]
        assert follower.settings.followed == f"{trunk.id}/height"
        rates = 0.02 * trunk["height"]
        iterates = path(follower.settings, rates)
        np.testing.assert_allclose(follower["height"], iterates, rtol=1e-5)


def path(settings, rates):
    """Norms of the kernel in float64 NumPy, with a rate for each step."""
    kernel, bias = (weight.astype("float64") for weight in toys.start(settings).values())
    buffers, norms = [np.zeros((3, 1)), np.zeros(1)], [np.linalg.norm(kernel)]
    for step in range(settings.steps):
        x, y = (array.astype("float64") for array in toys.batch(settings, step))
        residual = x @ kernel + bias - y
        gradients = 2 * x.T @ residual / len(x), 2 * residual.mean(0)
        buffers = [0.9 * b + g for b, g in zip(buffers, gradients, strict=True)]
        kernel, bias = kernel - rates[step] * buffers[0], bias - rates[step] * buffers[1]
        norms.append(np.linalg.norm(kernel))
    return norms


# Precision


@pytest.mark.parametrize(("precision", "low", "high"), [
    ("float64", 0, 1e-12), ("float32", 1e-9, 1e-5), ("mixed_bfloat16", 1e-5, 0.3),
])  # fmt: skip
def test_a_run_is_trained_in_its_precision(work, precision, low, high):
    arm = PLAIN | {"precision": precision, "steps": 40}
    experiment = Experiment("precise", Branch, {}, {"loss": every(1), "height": every(1)},
                            {"laptop": Scale(2)})  # fmt: skip
    paper = dataclasses.replace(PAPER, claims=(claim("C1", experiment),))
    executor = work(*((experiment, arm, (0, 1), name) for name in ("loss", "height")), paper=paper)
    for record in Store(executor.store.folder).records():
        assert record.settings.precision == precision
        losses, iterates = twin(record.settings, toys.build(record.settings))
        heights = [np.linalg.norm(kernel) for kernel, _ in iterates]
        # Every loss is watched, and there is none at the last iterate.
        np.testing.assert_array_equal(record.steps("loss"), range(40))
        np.testing.assert_array_equal(record.steps("height"), range(41))
        errors = [
            np.linalg.norm(seen - true) / np.linalg.norm(true)
            for seen, true in ((record["loss"], losses), (record["height"], heights))
        ]
        assert low <= max(errors) <= high
    assert keras.config.floatx() == "float32"
