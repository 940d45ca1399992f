"""The executor makes what is missing, whole and once, wherever it was stopped before."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from wdattn.reproduction import Executor, Progress, Request, Scale, Store, at
from wdattn.reproduction.judge.judgement import judge_runs
from wdattn.reproduction.run import training as loop

BACKEND = keras.backend.backend()
PLAIN, FANCY = {"kind": "plain", "learning_rate": 0.05}, {"kind": "fancy", "learning_rate": 0.05}


class Killed(BaseException):
    """Stands for a kill: nothing in the library catches it."""


class NumpyReplicas:
    """`Replicas` for the toy's dense layer, without the second that a compilation takes."""

    def __init__(self, model, loss, update, starts, knobs, batch_of, skip_nonfinite):
        assert not skip_nonfinite
        rows = [np.concatenate([w.ravel() for w in start.values()]) for start in starts]
        self.paths, self.rows = tuple(starts[0]), np.stack(rows)
        self.buffers, self.steps_taken = np.zeros_like(self.rows), 0
        self.rates = np.float32(knobs["learning_rate"])[:, None]
        self.decays = np.float32(knobs["weight_decay"])[:, None]
        self.momentum, self.batch_of = np.float32(0.9 if update.slots == 1 else 0.5), batch_of

    def step(self, x, y):
        with np.errstate(all="ignore"):
            x = np.concatenate([x, np.ones_like(x[..., :1])], -1)[self.batch_of]
            residual = np.einsum("rbi,ri->rb", x, self.rows) - y[self.batch_of, :, 0]
            gradients = np.float32(0.25) * np.einsum("rbi,rb->ri", x, residual)
            self.buffers = self.momentum * self.buffers + gradients
            self.rows = self.rows - self.rates * (self.buffers + self.decays * self.rows)
            self.steps_taken += 1
            return np.mean(residual**2, 1)

    def weights(self, replica):
        arrays = self.rows[replica, :3, None].copy(), self.rows[replica, 3:].copy()
        return dict(zip(self.paths, arrays, strict=True))

    def state(self):
        return {"taken": np.array(self.steps_taken), "rows": self.rows, "buffers": self.buffers}

    def restore(self, state):
        self.steps_taken = int(state["taken"])
        self.rows, self.buffers = state["rows"], state["buffers"]


@pytest.fixture
def real():
    """Asked for by tests that train with the real replicas."""


@pytest.fixture(autouse=True)
def replicas(request, monkeypatch):
    if "real" not in request.fixturenames:
        monkeypatch.setattr(loop, "Replicas", NumpyReplicas)


@pytest.fixture
def steps(monkeypatch):
    """Label of each stack that was trained, and the steps it took."""
    taken = []
    real = loop.train

    def train(members, system, *rest, **options):
        drawn = set()

        def batch(settings, step):
            drawn.add(step)
            return system.batch(settings, step)

        taken.append((len(members), drawn))
        return real(members, dataclasses.replace(system, batch=batch), *rest, **options)

    monkeypatch.setattr(loop, "train", train)
    return taken


@pytest.fixture
def lines():
    return []


@pytest.fixture
def work(tmp_path, paper, lines):
    """Makes what is requested of a claim, in one store, and gives the executor."""

    def run(*claims, scale="laptop", control=False, seeds=None, paper=paper, stop=None, folder="a"):
        store = Store(tmp_path / folder, lines.append)
        seconds = 60 if stop is None else 0
        executor = Executor(paper, scale, store, checkpoint_seconds=seconds)
        requests = []
        for name in claims:
            claim = paper.claim(name)
            chosen = seeds or claim.experiment.at(scale).seeds
            requests += [
                Request(claim.experiment, arm, chosen, column)
                for arm, column in claim.reading(control)
            ]
        with store.writing():
            if stop is None:
                executor.fulfil(requests)
            else:
                with pytest.raises(Killed), pytest.MonkeyPatch.context() as patch:
                    stop(patch, store)
                    executor.fulfil(requests)
        return executor

    return run


def killed_at(method, count, after=False):
    """Kills at the `count`-th call of a method of the store, before or after its work."""

    def stop(patch, store):
        real, calls = getattr(Store, method), []

        def killing(self, *arguments):
            calls.append(arguments)
            if len(calls) == count:
                if after:
                    real(self, *arguments)
                raise Killed
            return real(self, *arguments)

        patch.setattr(Store, method, killing)

    return stop


def files(executor, kind="runs"):
    """Name to bytes and time of change."""
    folder = executor.store.folder / kind
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("*.npz")
    }


def contents(executor):
    """Settings to what the record holds, to the bit."""
    return {
        record.settings: (
            {name: (s.tobytes(), v.tobytes(), v.shape) for name, (s, v) in record.columns.items()},
            [weight.tobytes() for weight in record.weights],
        )
        for record in executor.store.records()
    }


def test_it_makes_every_run_and_column_that_is_asked_for(work, steps, paper):
    executor = work("C1")
    experiment = paper.claim("C1").experiment
    asked = {experiment.at("laptop").run(arm, seed) for arm in (PLAIN, FANCY) for seed in range(3)}
    assert set(contents(executor)) == asked
    # One stack a kind, each of all seeds: the seeds may share a stack, the update rules may not.
    assert [(size, len(drawn)) for size, drawn in steps] == [(3, 60), (3, 60)]
    for record in executor.store.records():
        assert set(record.columns) == {"loss"}  # nobody asked for more
        np.testing.assert_array_equal(record.steps("loss"), range(50, 60))
        assert {"build", "backend", "precision", "versions", "stack"} <= set(record.manifest)
        assert len(record.manifest["stack"]) == 3
        assert record.manifest["backend"] == BACKEND and record.manifest["scale"] == "laptop"
    assert executor.store.stacks() == {}
    assert files(executor, "stacks") == {}


def test_a_finished_run_is_not_made_again(work, steps):
    before = files(work("C1"))
    steps.clear()
    again = work("C1")
    assert steps == [] and files(again) == before


def test_only_what_is_missing_is_made(work, steps):
    before = files(work("C1", seeds=(0, 1)))
    steps.clear()
    executor = work("C1", seeds=(1, 2))
    assert [size for size, _ in steps] == [1, 1]
    assert before.items() <= files(executor).items()
    assert len(files(executor)) == 6


def test_another_build_makes_its_own_runs(work, steps, paper):
    before = files(work("C2"))
    executor = work("C2", paper=dataclasses.replace(paper, code="toy-2"))
    assert len(steps) == 2 and len(files(executor)) == 6
    assert before.items() <= files(executor).items()


@pytest.mark.parametrize("count", [1, 7, 60, 61, 65])
def test_a_killed_call_goes_on_from_its_checkpoint(work, steps, count):
    whole = contents(work("C1", "C2", folder="whole"))
    steps.clear()
    before = files(work("C1", "C2", stop=killed_at("checkpoint", count, after=True)))
    taken = sum(len(drawn) for _, drawn in steps)
    steps.clear()
    executor = work("C1", "C2")
    assert contents(executor) == whole
    assert before.items() <= files(executor).items()
    # The last batch may have been drawn ahead, but no step is taken twice.
    assert taken + sum(len(drawn) for _, drawn in steps) <= 120 + 1
    assert executor.store.stacks() == {}


def test_a_real_stack_goes_on_to_the_bit(work, real):
    whole = contents(work("C1", "C2", folder="whole"))
    work("C1", "C2", stop=killed_at("checkpoint", 40, after=True))
    assert contents(work("C1", "C2")) == whole


def test_a_kill_before_the_first_checkpoint_starts_again(work):
    whole = contents(work("C2", folder="whole"))
    work("C2", stop=killed_at("checkpoint", 1))
    assert contents(work("C2")) == whole


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("after", [False, True])
def test_a_kill_between_records_repeats_none(work, steps, count, after):
    whole = contents(work("C2", folder="whole"))
    before = files(work("C2", stop=killed_at("save", count, after)))
    assert len(before) == count - 1 + after
    steps.clear()
    executor = work("C2")
    assert contents(executor) == whole
    assert before.items() <= files(executor).items()
    assert all(not drawn for _, drawn in steps)  # the checkpoint held everything
    assert executor.store.stacks() == {} and files(executor, "stacks") == {}


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_while_a_stack_is_finished_repeats_none(work, steps, after):
    before = files(work("C2", stop=killed_at("finish", 1, after)))
    steps.clear()
    executor = work("C2")
    assert files(executor) == before and steps == []
    assert executor.store.stacks() == {}


def test_a_kill_between_manifest_and_checkpoint_repeats_none(work, steps):
    # The stack's manifest is gone, its checkpoint is not yet.
    def stop(patch, store):
        def half(self, stack):
            self._stack(stack, "json").unlink()
            raise Killed

        patch.setattr(Store, "finish", half)

    before = files(work("C2", stop=stop))
    steps.clear()
    assert files(work("C2")) == before and steps == []


def test_a_stack_is_resumed_whole(work, steps):
    whole = contents(work("C2", folder="whole"))
    work("C2", stop=killed_at("checkpoint", 20, after=True))
    steps.clear()
    executor = work("C2", seeds=(1,))  # the bits of a run may hang on the size of its stack
    assert contents(executor) == whole
    assert [(size, len(drawn)) for size, drawn in steps] == [(3, 40)]


def test_a_resumed_stack_is_replayed_for_more_columns(work, steps):
    whole = contents(work("C1", "C2", folder="whole"))
    work("C1", stop=killed_at("checkpoint", 100, after=True))
    assert contents(work("C1", "C2")) == whole


def test_a_stack_that_is_not_asked_for_waits(work, steps):
    work("C2", stop=killed_at("checkpoint", 20, after=True))
    steps.clear()
    executor = work("C2", seeds=(8, 9))
    assert len(executor.store.stacks()) == 1 and len(files(executor)) == 2
    assert len(files(work("C2"))) == 5
    assert executor.store.stacks() == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry["settings"].update(learning_rate=0.06),
        lambda entry: entry["settings"].update({"class": "nowhere:Toy"}),
        lambda entry: entry["settings"].update(speed=1),
        lambda entry: entry["settings"].pop("class"),
        lambda entry: entry["watch"].update(height=[0, 30, 59]),
        lambda entry: entry["watch"].update(colour=[0]),
        lambda entry: entry.update(id="0" * 16),
    ],
)
def test_a_stack_of_other_code_or_another_watch_is_left_alone(work, steps, change):
    executor = work("C2", stop=killed_at("checkpoint", 20, after=True))
    ((name, manifest),) = executor.store.stacks().items()
    change(manifest["members"][1])
    executor.store._stack(name, "json").write_text(json.dumps(manifest))
    steps.clear()
    executor = work("C2")
    assert len(files(executor)) == 3
    assert [len(drawn) for _, drawn in steps] == [60]


def test_a_broken_checkpoint_starts_the_stack_again(work, steps, lines):
    whole = contents(work("C2", folder="whole"))
    executor = work("C2", stop=killed_at("checkpoint", 20, after=True))
    (path,) = executor.store.folder.glob("stacks/*.npz")
    path.write_bytes(path.read_bytes()[:-40])
    assert contents(work("C2")) == whole
    assert [line.split()[0] for line in lines] == [path.name]


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:400] + bytes([whole[400] ^ 255]) + whole[401:],
        lambda whole: b"",
    ],
)
def test_a_broken_record_is_reported_moved_aside_and_redone(work, steps, lines, damage):
    executor = work("C2")
    whole, before = contents(executor), files(executor)
    broken = sorted(executor.store.folder.glob("runs/*.npz"))[1]
    broken.write_bytes(damage(broken.read_bytes()))
    steps.clear()
    executor = work("C2")
    assert [size for size, _ in steps] == [1]
    assert len(lines) == 1 and lines[0].startswith(f"{broken.name} was moved to")
    assert (executor.store.folder / "set_aside" / broken.name).exists()
    after = files(executor)
    assert all(after[name] == before[name] for name in after if name != broken.name)
    for settings, (columns, weights) in contents(executor).items():  # a stack of one, so round-off
        for new, old in zip(weights, whole[settings][1], strict=True):
            pair = np.frombuffer(new, "float32"), np.frombuffer(old, "float32")
            np.testing.assert_allclose(*pair, rtol=1e-5)
        assert set(columns) == {"height"}


def test_a_renamed_record_is_redone(work, steps, lines):
    executor = work("C2")
    first, second, _ = sorted(executor.store.folder.glob("runs/*.npz"))
    second.write_bytes(first.read_bytes())
    steps.clear()
    assert len(files(work("C2"))) == 3
    assert [size for size, _ in steps] == [1]
    assert f"its contents are those of run {first.stem}" in lines[0]


# Replays


def test_a_replay_adds_a_column_and_keeps_the_old_cells(work, steps, real):
    before = contents(work("C1"))
    whole = contents(work("C1", "C2", folder="whole"))
    steps.clear()
    after = contents(work("C1", "C2"))
    assert after == whole
    assert [size for size, _ in steps] == [3]  # the plain stack alone
    for settings, (columns, weights) in before.items():
        assert after[settings][1] == weights
        assert after[settings][0]["loss"] == columns["loss"]
        added = {"height"} if settings.kind == "plain" else set()
        assert set(after[settings][0]) == {"loss"} | added


def test_a_replay_of_one_member_runs_the_whole_stack(work, steps):
    before = contents(work("C1"))
    steps.clear()
    after = contents(work("C2", seeds=(1,)))
    assert [size for size, _ in steps] == [3]
    changed = [settings for settings in before if before[settings] != after[settings]]
    assert [(run.kind, run.seed) for run in changed] == [("plain", 1)]


def test_a_moved_watch_is_replayed(work, steps, paper):
    before = contents(work("C2"))
    base = paper.claim("C2").experiment
    moved = dataclasses.replace(base, watch={**base.watch, "height": at(0, 45, 60)})
    claims = tuple(dataclasses.replace(claim, experiment=moved) for claim in paper.claims)
    steps.clear()
    executor = work("C2", paper=dataclasses.replace(paper, claims=claims))
    assert [size for size, _ in steps] == [3]
    for settings in before:
        record = executor.find(settings)
        np.testing.assert_array_equal(record.steps("height"), [0, 30, 45, 60])
        seen = record.watched({"height": [0, 30, 60]})["height"]
        assert seen.tobytes() == before[settings][0]["height"][1]


def test_a_run_of_two_experiments_is_made_once_and_has_the_columns_of_both(work, steps, paper):
    first, second, *_ = paper.claims
    other = dataclasses.replace(first.experiment, name="other")
    both = dataclasses.replace(paper, claims=(first, dataclasses.replace(second, experiment=other)))
    executor = work("C1", "C2", paper=both)
    # Plain and fancy for the first; the second reads plain too, which is replayed for it.
    assert [size for size, _ in steps] == [3, 3, 3] and len(files(executor)) == 6
    plain = executor.find(first.experiment.at("laptop").run(PLAIN, 0))
    assert set(plain.columns) == {"loss", "height"}
    steps.clear()
    work("C1", "C2", paper=both)
    assert steps == []


def test_a_replay_that_misses_the_weights_trains_anew(work, steps, lines):
    executor = work("C1")
    whole = contents(work("C1", "C2", folder="whole"))
    run = executor.paper.claim("C1").experiment.at("laptop").run(PLAIN, 2)
    record = executor.find(run)
    tampered = record.weights[0].copy()
    tampered[0] = np.nextafter(tampered[0], np.float32(9))
    wrong = {"loss": (record.steps("loss"), record["loss"] + 1)}
    forged = dataclasses.replace(record, columns=wrong, weights=(tampered, record.weights[1]))
    executor.store.save(executor._id(run), forged)
    steps.clear()
    executor = work("C1", "C2")
    assert [size for size, _ in steps] == [3, 1]
    assert len(lines) == 1 and "did not meet its weights bit for bit" in lines[0]
    after = contents(executor)
    assert all(after[other] == whole[other] for other in whole if other != run)
    assert set(after[run][0]) == {"loss", "height"}
    fresh = executor.find(run)
    np.testing.assert_allclose(fresh["loss"], record["loss"], rtol=1e-4)
    np.testing.assert_allclose(fresh.weights[0], record.weights[0], rtol=1e-5)


# What diverged, and what is searched


def judged(executor, name, control=False):
    claim = executor.paper.claim(name)
    return judge_runs(claim, executor.find, "laptop", range(3), control)


def test_a_run_that_diverges_is_finished_and_inconclusive(work, steps, real):
    executor = work("C4")
    assert len(files(executor)) == 6
    found = judged(executor, "C4")
    assert found.verdict == "inconclusive" and "not finite" in found.why
    steps.clear()
    work("C4")
    assert steps == []  # it is not tried again


def test_best_is_chosen_on_its_own_seeds(work, steps, paper):
    executor = work("C3")
    runs = {(run.kind, run.learning_rate, run.seed) for run in contents(executor)}
    searched = {
        ("fancy", learning_rate, seed) for learning_rate in (0.01, 0.1, 1e38) for seed in (90, 91)
    }
    chosen = {("fancy", 0.1, seed) for seed in range(3)}
    assert runs == searched | chosen | {("plain", 0.05, seed) for seed in range(3)}
    # The grid is one stack; it is trained before the runs that hang on its choice.
    assert [size for size, _ in steps] == [6, 3, 3]
    found = judged(executor, "C3")
    (chosen,) = found.choices
    assert (chosen.setting, chosen.value, chosen.at_an_end) == ("learning_rate", 0.1, False)
    assert found.verdict == "reproduced"


def test_what_waits_for_no_search_is_made_with_the_searches(work, steps, paper):
    plain, _, tuned, *_ = paper.claims
    other = dataclasses.replace(plain.experiment, name="other", scales={"laptop": Scale((7, 8))})
    both = (dataclasses.replace(plain, experiment=other), tuned)
    rounds = []
    with pytest.MonkeyPatch.context() as patch:
        real = Executor._train

        def train(self, tasks, workers):
            chosen = list(tasks)
            rounds.append([(task.experiment.name, len(task.entries)) for task in chosen])
            return real(self, iter(chosen), workers)

        patch.setattr(Executor, "_train", train)
        work("C1", "C3", paper=dataclasses.replace(paper, claims=both))
    made = [chosen for chosen in rounds if chosen]
    assert sorted(made[0]) == [("base", 6), ("other", 2), ("other", 2)]
    assert made[1:] == [[("base", 3), ("base", 3)]]


def test_a_grid_that_diverges_everywhere_spoils_no_other_claim(work, paper):
    third = paper.claim("C3")
    of, to = third.test.effect.arms
    lost = {**of, "learning_rate": dataclasses.replace(of["learning_rate"], grid=(1e38, 2e38))}
    effect = dataclasses.replace(third.test.effect, arms=(lost, to))
    third = dataclasses.replace(third, test=dataclasses.replace(third.test, effect=effect))
    claims = tuple(third if claim.id == "C3" else claim for claim in paper.claims)
    executor = work("C2", "C3", paper=dataclasses.replace(paper, claims=claims))
    assert judged(executor, "C3").verdict == "inconclusive"
    assert "gave a finite score" in judged(executor, "C3").why
    assert judged(executor, "C2").verdict != "not judged"


def test_controls_are_runs_of_their_own(work, steps):
    executor = work("C2", control=True)
    assert judged(executor, "C2").verdict == "not judged"
    assert judged(executor, "C2", control=True).verdict != "not judged"
    assert {(run.kind, run.stream) for run in contents(executor)} == {("fancy", 1)}


def test_progress_is_told_of_each_stack(tmp_path, paper):
    class Noting(Progress):
        def __init__(self):
            self.seen = []

        def stack(self, label, steps):
            self.seen.append((label, steps))
            return super().stack(label, steps)

    store, progress = Store(tmp_path), Noting()
    executor = Executor(paper, "smoke", store, progress)
    claim = paper.claim("C2")
    with store.writing():
        executor.fulfil([Request(claim.experiment, PLAIN, (0, 1), "height")])
    assert progress.seen == [("toy2024 base: 2 runs", 12)]


def test_an_unwatched_column_is_refused_before_anything_runs(work, steps, paper, tmp_path):
    store = Store(tmp_path)
    experiment = paper.claim("C1").experiment
    with store.writing(), pytest.raises(ValueError, match="'base' does not watch 'colour'"):
        executor = Executor(paper, "laptop", store)
        executor.fulfil([Request(experiment, PLAIN, (0,), "colour")])
    assert steps == []
