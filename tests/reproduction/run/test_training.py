"""The one training loop against a NumPy twin; where it is cut does not show in its results."""

import dataclasses

import keras
import numpy as np
import pytest

from tests.toy2024.system import KERNEL
from wdattn.replicas import weights_by_path
from wdattn.reproduction.run import training as loop
from wdattn.reproduction.run.integrity import digest
from wdattn.reproduction.run.member import Member
from wdattn.reproduction.run.training import train

STEPS = 12


def twin(settings, system):
    """Losses and iterates of one run in float64 NumPy: SGD with momentum, decay and clipping."""
    kernel, bias = (weight.astype("float64") for weight in system.start(settings).values())
    buffers = np.zeros((3, 1)), np.zeros(1)
    losses, iterates = [], [(kernel, bias)]
    for step in range(settings.steps):
        x, y = (array.astype("float64") for array in system.batch(settings, step))
        residual = x @ kernel + bias - y
        losses.append(np.mean(residual**2))
        gradients = 2 * x.T @ residual / len(x), 2 * residual.mean(0)
        norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
        scale = min(1, (settings.clipnorm or np.inf) / norm)
        buffers = tuple(0.9 * b + scale * g for b, g in zip(buffers, gradients, strict=True))
        kernel, bias = (
            p - settings.learning_rate * (b + settings.weight_decay * p)
            for p, b in zip((kernel, bias), buffers, strict=True)
        )
        iterates.append((kernel, bias))
    return np.array(losses), iterates


def members(toy, watch, *changes, **shared):
    runs = [
        toy(**{"steps": STEPS, "learning_rate": 0.05, **shared, **change}) for change in changes
    ]
    return [Member(run, watch) for run in runs]


WATCH = {"loss": range(STEPS), "height": (0, 5, STEPS), "width": (3,), "stride": (0, 11)}
CHANGES = (
    {"seed": 0},
    {"seed": 0, "learning_rate": 0.01, "clipnorm": 0.5},
    {"seed": 1, "weight_decay": 0.3},
    {"seed": 1, "stream": 1},
)


def lasting(members):
    """The members, with their last weights kept."""
    return [dataclasses.replace(one, keep=(one.settings.steps,)) for one in members]


def keeping(kept):
    """Puts the weights that are kept where the test can see them."""

    def keep(run, step, weights):
        kept[run, step] = weights
        return digest(weights)

    return keep


@pytest.fixture
def stack(toy):
    return members(toy, WATCH, *CHANGES)


def test_each_run_takes_the_twins_path(stack, system, measures):
    built = system(stack[0].settings)
    last = {}
    results = train(lasting(stack), built, measures, keep=keeping(last))
    for run, (member, trained) in enumerate(zip(stack, results, strict=True)):
        columns, weights = trained.columns, last[run, STEPS]
        losses, iterates = twin(member.settings, built)
        np.testing.assert_allclose(columns["loss"][1], losses, rtol=2e-5)
        np.testing.assert_array_equal(columns["loss"][0], range(STEPS))
        for weight, expected in zip(weights.values(), iterates[-1], strict=True):
            np.testing.assert_allclose(weight, expected, rtol=2e-5, atol=1e-6)
            assert weight.dtype == "float32"
        assert trained.weights == trained.kept[STEPS] == digest(weights)
        # Iterate t is the one before step t; the last look is after the last step.
        heights = [np.linalg.norm(iterates[t][0]) for t in (0, 5, STEPS)]
        np.testing.assert_allclose(columns["height"][1], heights, rtol=2e-5)
        np.testing.assert_allclose(columns["width"][1], [[3, iterates[3][1][0]]], atol=1e-5)
        strides = [
            np.sqrt(sum(np.sum((b - a) ** 2) for a, b in zip(*iterates[t : t + 2], strict=True)))
            for t in (0, 11)
        ]
        np.testing.assert_allclose(columns["stride"][1], strides, rtol=2e-4)
        assert set(columns) == set(WATCH)


def test_a_column_is_measured_only_where_it_is_watched(toy, system, measures):
    run = toy(steps=4, learning_rate=0.05)
    asked = [
        Member(run, {"loss": (3,)}),
        Member(dataclasses.replace(run, seed=1), {"height": (2,)}),
    ]
    first, second = train(asked, system(run), measures)
    assert set(first.columns) == {"loss"} and set(second.columns) == {"height"}


def same(one, other):
    for mine, theirs in zip(one, other, strict=True):
        assert set(mine.columns) == set(theirs.columns)
        for name in mine.columns:
            for old, new in zip(mine.columns[name], theirs.columns[name], strict=True):
                assert old.shape == new.shape and old.tobytes() == new.tobytes()
        assert (mine.weights, mine.kept) == (theirs.weights, theirs.kept)
    return True


def test_a_resumed_run_is_the_same_to_the_bit(stack, system, measures):
    built, states, drawn = system(stack[0].settings), [], []
    whole = train(stack, built, measures, checkpoint=states.append, checkpoint_seconds=0)
    assert [int(state["steps_taken"]) for state in states] == [*range(1, STEPS + 1), STEPS]

    def batch(settings, step):
        drawn.append(step)
        return built.batch(settings, step)

    noting = dataclasses.replace(built, batch=batch)
    for cut in (0, 4, STEPS - 1, STEPS):
        drawn.clear()
        assert same(whole, train(stack, noting, measures, resumed=states[cut]))
        taken = int(states[cut]["steps_taken"])
        assert sorted(set(drawn)) == list(range(taken, STEPS))  # no step is repeated


def test_checkpoints_are_as_far_apart_as_asked(stack, system, measures):
    states = []
    train(stack, system(stack[0].settings), measures, checkpoint=states.append)
    assert [int(state["steps_taken"]) for state in states] == [STEPS]  # the whole took no time


def test_each_checkpoint_waits_as_long_as_the_first(stack, system, measures, monkeypatch):
    """Two seconds a step, five between checkpoints: after three steps each."""
    clock = {"now": 0.0}
    monkeypatch.setattr(loop.time, "monotonic", lambda: clock["now"])

    def advance(steps):
        clock["now"] += 2.0 * steps

    states = []
    train(stack, system(stack[0].settings), measures, checkpoint=states.append, advance=advance)
    assert [int(state["steps_taken"]) for state in states] == [3, 6, 9, 12, 12]


def test_checkpoints_take_a_small_share_of_the_time(stack, system, measures, monkeypatch):
    """One that takes 0.19 s is followed by the next after 9.5 s at least, not after 5."""
    clock = {"now": 0.0}
    monkeypatch.setattr(loop.time, "monotonic", lambda: clock["now"])
    taken = []

    def checkpoint(state):
        taken.append(int(state["steps_taken"]))
        clock["now"] += 0.19

    def advance(steps):
        clock["now"] += 2.0 * steps

    train(stack, system(stack[0].settings), measures, checkpoint=checkpoint, advance=advance)
    assert taken == [3, 8, 12]


def test_the_moving_average_is_there_to_measure(toy, system, measures):
    run = toy(steps=3, learning_rate=0.05)
    built = system(run)
    averaged = dataclasses.replace(built, update=dataclasses.replace(built.update, average=0.5))

    def mean(snapshot):
        return snapshot.averaged().weights[KERNEL][:, 0]

    iterates, expected = twin(run, built)[1], None
    for kernel, _ in iterates[1:]:
        expected = kernel if expected is None else 0.5 * expected + 0.5 * kernel
    (trained,) = train([Member(run, {"mean": (3,)})], averaged, {**measures, "mean": mean})
    np.testing.assert_allclose(trained.columns["mean"][1][0], expected[:, 0], rtol=1e-5)
    with pytest.raises(ValueError, match="`update` must keep an `average`"):
        train([Member(run, {"mean": (3,)})], built, {**measures, "mean": mean})


def test_batch_statistics_are_taken_anew_on_training_data(toy, system, measures):
    run = toy(steps=2, learning_rate=0.05)
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization(name="norm"),
                              keras.layers.Dense(1, name="out")])  # fmt: skip
    weights = weights_by_path(model)
    built = dataclasses.replace(system(run), model=model, start=lambda settings: weights)
    x = built.batch(run, 0)[0]
    seen = {}

    def note(snapshot):
        seen["before"] = snapshot.weights["norm/moving_mean"]
        seen["after"] = snapshot.refreshed(x).weights["norm/moving_mean"]
        return 0.0

    train([Member(run, {"note": (2,)})], built, {**measures, "note": note})
    np.testing.assert_allclose(seen["after"], x.mean(0), rtol=1e-4, atol=1e-6)
    assert not np.allclose(seen["before"], x.mean(0), rtol=0.1)


def test_progress_adds_up(stack, system, measures):
    counts, states = [], []
    built = system(stack[0].settings)
    arguments = {"checkpoint": states.append, "checkpoint_seconds": 0}
    train(stack, built, measures, advance=counts.append, **arguments)
    assert sum(counts) == STEPS
    counts.clear()
    train(stack, built, measures, advance=counts.append, resumed=states[3])
    assert sum(counts) == STEPS


def test_runs_of_one_seed_and_stream_share_their_batches(toy, system, measures):
    drawn = []
    asked = members(
        toy, {"loss": (2,)}, {"learning_rate": 0.1}, {}, {"stream": 1}, {"seed": 1}, steps=3
    )
    built = system(asked[0].settings)

    def batch(settings, step):
        drawn.append((settings.seed, settings.stream, step))
        return built.batch(settings, step)

    train(asked, dataclasses.replace(built, batch=batch), measures)
    assert sorted(drawn) == [(0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 1, 0), (0, 1, 1), (0, 1, 2),
                             (1, 0, 0), (1, 0, 1), (1, 0, 2)]  # fmt: skip


def test_a_look_at_given_weights_takes_no_step(toy, system, measures):
    run = toy(steps=0, learning_rate=0.05)
    built = system(run)
    (trained,) = train([Member(run, {"height": (0,)})], built, measures)
    assert trained.weights == digest(built.start(run))
    kernel = built.start(run)[KERNEL]
    np.testing.assert_allclose(trained.columns["height"][1], [np.linalg.norm(kernel)], rtol=1e-6)


def test_after_a_weight_that_is_not_finite_cells_are_nan(toy, system, measures):
    calls = []

    def noting(snapshot):
        calls.append(snapshot.step)
        assert all(np.isfinite(weight).all() for weight in snapshot.weights.values())
        return [snapshot.step, 1.0]

    watch = {"loss": range(STEPS), "width": (0, 1, 6, STEPS)}
    asked = members(toy, watch, {"learning_rate": 1e38}, {})
    built = system(asked[0].settings)
    last = {}
    results = train(lasting(asked), built, {**measures, "width": noting}, keep=keeping(last))
    lost, kept = (trained.columns for trained in results)
    assert not np.isfinite(last[0, STEPS][KERNEL]).any()
    np.testing.assert_array_equal(lost["width"][1][[0, 2, 3]], [[0, 1], [np.nan] * 2, [np.nan] * 2])
    assert not np.isfinite(lost["loss"][1][3:]).any()
    assert np.isfinite(kept["loss"][1]).all()
    np.testing.assert_array_equal(kept["width"][1][:, 0], [0, 1, 6, STEPS])
    losses, _ = twin(asked[1].settings, built)  # the neighbour takes no notice
    np.testing.assert_allclose(kept["loss"][1], losses, rtol=2e-5)


def test_no_loss_after_the_last_step(toy, system, measures):
    with pytest.raises(ValueError, match="no batch is drawn at iterate 12, the last: watch 'loss'"):
        train(members(toy, {"loss": (STEPS,)}, {}), system(toy()), measures)


def test_no_step_follows_the_last_iterate(toy, system, measures):
    with pytest.raises(ValueError, match="iterate 3 is the last of .*: no step follows"):
        train(members(toy, {"stride": (3,)}, {}, steps=3), system(toy()), measures)


def test_skipped_steps_are_a_column(toy, system, measures):
    run = toy(steps=4, learning_rate=0.05)
    built = system(run)

    def batch(settings, step):
        x, y = built.batch(settings, step)
        return x, np.where(step == 1, np.inf, y).astype("float32")

    asked = [Member(run, {"skipped": (0, 2, 4), "loss": (0, 1)})]
    guarded = dataclasses.replace(built, batch=batch, skip_nonfinite=True)
    last = {}
    (trained,) = train(lasting(asked), guarded, measures, keep=keeping(last))
    np.testing.assert_array_equal(trained.columns["skipped"][1], [0, 1, 1])
    assert not np.isfinite(trained.columns["loss"][1][1])
    assert all(np.isfinite(weight).all() for weight in last[0, 4].values())
    unguarded = dataclasses.replace(built, batch=batch)
    (trained,) = train(lasting(asked), unguarded, measures, keep=keeping(last))
    np.testing.assert_array_equal(trained.columns["skipped"][1], [0, 0, 0])
    assert not any(np.isfinite(weight).all() for weight in last[0, 4].values())
