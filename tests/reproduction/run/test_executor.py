"""The executor makes what is missing, whole and once, wherever it was stopped before."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from wdattn.reproduction import Executor, Progress, Request, Scale, Store, at
from wdattn.reproduction.judge.judgement import judge_runs
from wdattn.reproduction.run import archive, record_file
from wdattn.reproduction.run import training as loop
from wdattn.reproduction.run.integrity import digest
from wdattn.reproduction.run.stack import Stack
from wdattn.reproduction.run.stack_states import StackStates
from wdattn.reproduction.run.workers import Workers

BACKEND = keras.backend.backend()
PLAIN, FANCY = {"kind": "plain", "learning_rate": 0.05}, {"kind": "fancy", "learning_rate": 0.05}


class Killed(BaseException):
    """Stands for a kill: nothing in the library catches it."""


class Telling(Progress):
    """Puts the lines that concern the reader where a test can see them."""

    def __init__(self, lines):
        self.lines = lines

    def note(self, line):
        self.lines.append(line)


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

    def step(self, x, y, knobs):
        assert knobs is None  # they do not change
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
        if state["rows"].shape != self.rows.shape:
            raise ValueError(f"`state` must hold rows {self.rows.shape}, got {state['rows'].shape}")
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
        executor = Executor(paper, scale, store, Telling(lines), seconds)
        requests = []
        for name in claims:
            claim = paper.claim(name)
            chosen = seeds or claim.experiment.at(scale).seeds
            requests += [
                Request(claim.experiment, arm, chosen, column)
                for arm, column in claim.reading(control)
            ]
        if stop is None:
            with store.writing():
                executor.fulfil(requests)
        else:
            with pytest.raises(Killed), pytest.MonkeyPatch.context() as patch:
                stop(patch, store)
                with store.writing():
                    executor.fulfil(requests)
        return executor

    return run


def killed_at(method, count, after=False, owner=Store):
    """Kills at the `count`-th call of a method, before or after its work."""

    def stop(patch, store):
        real, calls = getattr(owner, method), []

        def killing(self, *arguments):
            calls.append(arguments)
            if len(calls) == count:
                if after:
                    real(self, *arguments)
                raise Killed
            return real(self, *arguments)

        patch.setattr(owner, method, killing)

    return stop


def files(executor):
    """Name to bytes and time of change, of the files of records."""
    paths = executor.store.folder.glob("runs/*/*.npz")
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def under_way(executor):
    """Names of what is kept of stacks that are not finished."""
    return sorted(path.name for path in executor.store.folder.glob("stacks/*"))


def contents(executor):
    """Settings to what the record holds, to the bit."""
    return {
        record.settings: (
            {name: (s.tobytes(), v.tobytes(), v.shape) for name, (s, v) in record.columns.items()},
            record.manifest["weights"],
        )
        for record in Store(executor.store.folder).records()
    }


def only_file(executor, pattern):
    (path,) = executor.store.folder.glob(pattern)
    return path


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
        assert {"build", "runner", "versions", "stack", "seconds"} <= set(record.manifest)
        assert len(record.manifest["members"]) == 3
        assert record.manifest["backend"] == BACKEND and record.manifest["scale"] == "laptop"
    assert under_way(executor) == []
    # One file for the experiment and backend, and none for weights, which nobody asked for.
    assert [*files(executor)] == ["base-laptop-toy-1.npz"]
    assert not (executor.store.folder / "weights").exists()


def test_a_stack_stands_in_the_order_of_ids(work):
    """However the runs were asked for: so the same runs are the same stack."""
    one = work("C1", seeds=(0, 1, 2, 3))
    other = work("C1", seeds=(3, 1, 0, 2), folder="other")
    for executor in (one, other):
        for record in Store(executor.store.folder).records():
            ids = [member["id"] for member in record.manifest["members"]]
            assert ids == sorted(ids) and len(ids) == 4
    assert contents(one) == contents(other)


def test_the_seconds_of_a_record_are_those_of_one_run(work, monkeypatch):
    real = Stack.train

    def train(self, advance):
        return dataclasses.replace(real(self, advance), seconds=9.0)

    monkeypatch.setattr(Stack, "train", train)
    executor = work("C2")
    assert [record.manifest["seconds"] for record in executor.store.records()] == [3.0] * 3


def test_a_stack_takes_as_long_as_its_runs(work, paper, monkeypatch):
    """The longest are begun first, as their experiments say."""
    base = paper.claim("C2").experiment
    costly = dataclasses.replace(base, cost={"laptop": 7.0})
    claims = tuple(dataclasses.replace(claim, experiment=costly) for claim in paper.claims)
    seconds = []

    def train(self, tasks, begin, of):
        seconds.extend(map(of, tasks))
        return iter(())

    monkeypatch.setattr(Workers, "train", train)
    real = Executor._make
    monkeypatch.setattr(Executor, "_make", lambda self, *rest: real(self, *rest) and False)
    work("C1", seeds=(0, 1), paper=dataclasses.replace(paper, claims=claims))
    assert seconds == [14.0, 14.0]


def test_a_finished_run_is_not_made_again(work, steps):
    before = files(work("C1"))
    steps.clear()
    again = work("C1")
    assert steps == [] and files(again) == before


def test_only_what_is_missing_is_made(work, steps):
    before = contents(work("C1", seeds=(0, 1)))
    steps.clear()
    executor = work("C1", seeds=(1, 2))
    assert [size for size, _ in steps] == [1, 1]
    assert before.items() <= contents(executor).items()
    assert len(contents(executor)) == 6 and len(files(executor)) == 1


def test_another_build_makes_its_own_runs(work, steps, paper):
    before = files(work("C2"))
    executor = work("C2", paper=dataclasses.replace(paper, code="toy-2"))
    assert len(steps) == 2 and len(Store(executor.store.folder).records()) == 6
    assert [*files(executor)] == ["base-laptop-toy-1.npz", "base-laptop-toy-2.npz"]
    assert before.items() <= files(executor).items()


@pytest.mark.parametrize("count", [1, 7, 60, 61, 65])
def test_a_killed_call_goes_on_from_its_checkpoint(work, steps, count):
    whole = contents(work("C1", "C2", folder="whole"))
    steps.clear()
    before = contents(work("C1", "C2", stop=killed_at("save", count, True, StackStates)))
    taken = sum(len(drawn) for _, drawn in steps)
    steps.clear()
    executor = work("C1", "C2")
    assert contents(executor) == whole
    assert before.items() <= contents(executor).items()
    # The last batch may have been drawn ahead, but no step is taken twice.
    assert taken + sum(len(drawn) for _, drawn in steps) <= 120 + 1
    assert under_way(executor) == []


def test_a_real_stack_goes_on_to_the_bit(work, real):
    whole = contents(work("C1", "C2", folder="whole"))
    work("C1", "C2", stop=killed_at("save", 40, True, StackStates))
    assert contents(work("C1", "C2")) == whole


def test_a_kill_before_the_first_checkpoint_starts_again(work):
    whole = contents(work("C2", folder="whole"))
    work("C2", stop=killed_at("save", 1, owner=StackStates))
    assert contents(work("C2")) == whole


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_as_records_are_written_repeats_none(work, steps, after):
    whole = contents(work("C2", folder="whole"))
    before = contents(work("C2", stop=killed_at("add", 1, after)))
    assert len(before) == 3 * after
    steps.clear()
    executor = work("C2")
    assert contents(executor) == whole
    assert all(not drawn for _, drawn in steps)  # the checkpoint held everything
    assert under_way(executor) == [] and len(files(executor)) == 1


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_while_a_stack_is_finished_repeats_none(work, steps, after):
    before = contents(work("C2", stop=killed_at("finish", 1, after, StackStates)))
    steps.clear()
    executor = work("C2")
    assert contents(executor) == before and steps == []
    assert under_way(executor) == []


def test_a_kill_between_manifest_and_checkpoint_repeats_none(work, steps):
    # The stack's manifest is gone, its checkpoint is not yet.
    def stop(patch, store):
        def half(self, stack):
            self._path(stack, "json").unlink()
            raise Killed

        patch.setattr(StackStates, "finish", half)

    before = contents(work("C2", stop=stop))
    steps.clear()
    executor = work("C2", seeds=(0,))
    assert contents(executor) == before and steps == [] and under_way(executor) == []


def test_a_kill_while_files_are_put_together_loses_nothing(work, steps):
    work("C2", seeds=(0, 1))
    executor = work("C2", seeds=(2,), stop=killed_at("_put_together", 1))
    whole = contents(executor)
    assert len(whole) == 3 and len(files(executor)) == 2 and under_way(executor) == []
    apart = only_file(executor, "runs/*/*+*.npz")
    data = apart.read_bytes()
    steps.clear()
    assert contents(work("C2")) == whole and steps == []
    assert [*files(executor)] == ["base-laptop-toy-1.npz"]
    apart.write_bytes(data)  # the file of all is there, and what it was made of is not yet gone
    assert contents(work("C2")) == whole and steps == []
    assert [*files(executor)] == ["base-laptop-toy-1.npz"]


def test_a_stack_is_resumed_whole(work, steps):
    whole = contents(work("C2", folder="whole"))
    work("C2", stop=killed_at("save", 20, True, StackStates))
    steps.clear()
    executor = work("C2", seeds=(1,))  # the bits of a run may hang on the size of its stack
    assert contents(executor) == whole
    assert [(size, len(drawn)) for size, drawn in steps] == [(3, 40)]


def test_a_resumed_stack_is_replayed_for_more_columns(work, steps):
    whole = contents(work("C1", "C2", folder="whole"))
    work("C1", stop=killed_at("save", 100, True, StackStates))
    assert contents(work("C1", "C2")) == whole


def test_a_stack_that_is_not_asked_for_waits(work, steps):
    work("C2", stop=killed_at("save", 20, True, StackStates))
    steps.clear()
    executor = work("C2", seeds=(8, 9))
    assert len(executor.store.stacks.all()) == 1 and len(contents(executor)) == 2
    assert len(contents(work("C2"))) == 5
    assert under_way(executor) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry["settings"].update(learning_rate=0.06),
        lambda entry: entry["settings"].update({"class": "nowhere:Toy"}),
        lambda entry: entry["settings"].update(speed=1),
        lambda entry: entry["settings"].pop("class"),
        lambda entry: entry["watch"].update(colour=[0]),
    ],
)
def test_a_stack_of_other_code_is_begun_anew(work, steps, change):
    whole = contents(work("C2", folder="whole"))
    executor = work("C2", stop=killed_at("save", 20, True, StackStates))
    change_manifest(executor, lambda manifest: change(manifest["members"][1]))
    steps.clear()
    assert contents(work("C2")) == whole
    assert [len(drawn) for _, drawn in steps] == [60]


def change_manifest(executor, change):
    path = only_file(executor, "stacks/*.json")
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    return path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda manifest: manifest.pop("members"), "it has no 'members'"),
        (lambda manifest: manifest.pop("experiment"), "it has no 'experiment'"),
        (lambda manifest: manifest["members"][0].pop("watch"), "it has no 'watch'"),
        (lambda manifest: manifest["members"].reverse(), "its members are those of stack"),
        (lambda manifest: manifest["members"][1].update(id="0" * 16), "its members are those of"),
        (lambda manifest: manifest.update(backend="/../../X"), "its backend must be one of"),
        (lambda manifest: manifest.update(experiment="../../X"), "its experiment must be a word"),
    ],
)
def test_a_manifest_that_does_not_fit_is_told_and_the_stack_redone(
    work, steps, lines, change, told
):
    whole = contents(work("C2", folder="whole"))
    path = change_manifest(work("C2", stop=killed_at("save", 20, True, StackStates)), change)
    steps.clear()
    executor = work("C2")
    assert contents(executor) == whole and under_way(executor) == []
    assert [len(drawn) for _, drawn in steps] == [60]
    assert len(lines) == 1 and lines[0].startswith(f"{path.name} was moved to") and told in lines[0]
    assert only_file(executor, "set_aside/*.json").exists()


def forged(executor, change):
    """A checkpoint whose arrays were changed, with or without a digest that fits them."""
    path = only_file(executor, "stacks/*.npz")
    with np.load(path) as file:
        arrays = change(dict(file))
    if "digest" not in arrays:
        arrays["digest"] = np.array(digest(arrays))
    path.write_bytes(archive.packed(arrays, compressed=False))
    return path


def with_digest(change):
    return lambda arrays: change({k: v for k, v in arrays.items() if k != "digest"})


@pytest.mark.parametrize(
    "change",
    [
        # Without a digest that fits.
        lambda arrays: arrays | {"rows": arrays["rows"] * np.float32(np.nan)},
        lambda arrays: arrays | {"rows": arrays["rows"][::-1]},
        lambda arrays: arrays | {"taken": np.array(0)},
        lambda arrays: {k: v for k, v in arrays.items() if k != "buffers"},
        lambda arrays: arrays | {"digest": np.array("0" * 16)},
        # With one.
        with_digest(lambda arrays: arrays | {"identity": np.array("0" * 16)}),
        with_digest(lambda arrays: arrays | {"taken": np.array(0)}),
        with_digest(lambda arrays: arrays | {"taken": np.array(60)}),
        with_digest(lambda arrays: arrays | {"taken": np.array(61)}),
        with_digest(lambda arrays: arrays | {"taken": np.array(-1)}),
        with_digest(lambda arrays: arrays | {"rows": arrays["rows"][:2]}),
        with_digest(lambda arrays: {k: v for k, v in arrays.items() if k != "rows"}),
        with_digest(lambda arrays: {k: v for k, v in arrays.items() if "cells/1/" not in k}),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_told_moved_aside_and_redone(work, steps, lines, change):
    whole = contents(work("C2", folder="whole"))
    path = forged(work("C2", stop=killed_at("save", 20, True, StackStates)), change)
    for _ in range(2):  # the second call has nothing to tell
        steps.clear()
        executor = work("C2")
        assert contents(executor) == whole and under_way(executor) == []
    assert steps == []
    assert len(lines) == 1 and lines[0].startswith(f"{path.name} was moved to"), lines
    assert only_file(executor, "set_aside/*.npz").name == path.name


def test_a_checkpoint_of_another_stack_of_equal_shape_is_not_resumed(work, steps, lines):
    whole = contents(work("C2", folder="whole"))
    executor = work("C2", stop=killed_at("save", 20, True, StackStates))
    path = only_file(executor, "stacks/*.npz")
    other = work("C2", seeds=(5, 6, 7), stop=killed_at("save", 20, True, StackStates), folder="b")
    path.write_bytes(only_file(other, "stacks/*.npz").read_bytes())
    assert contents(work("C2")) == whole
    assert len(lines) == 1 and "it is of another stack" in lines[0]


def test_a_broken_checkpoint_starts_the_stack_again(work, steps, lines):
    whole = contents(work("C2", folder="whole"))
    executor = work("C2", stop=killed_at("save", 20, True, StackStates))
    path = only_file(executor, "stacks/*.npz")
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
def test_a_broken_file_is_reported_moved_aside_and_redone(work, steps, lines, damage):
    executor = work("C2")
    whole = contents(executor)
    path = only_file(executor, "runs/*/*.npz")
    for count in (1, 2):
        path.write_bytes(damage(path.read_bytes()))
        steps.clear()
        assert contents(work("C2")) == whole
        assert [size for size, _ in steps] == [3]
        assert len(lines) == count and lines[-1].startswith(f"{path.name} was moved to")
    assert len(list(executor.store.folder.glob("set_aside/*.npz"))) == 2  # neither overwritten


def forged_records(executor, change):
    path = only_file(executor, "runs/*/*.npz")
    members = archive.unpacked(path.read_bytes())
    manifest = json.loads(members["manifest.json"])
    change(manifest, members)
    members["manifest.json"] = json.dumps(manifest).encode()
    path.write_bytes(archive.packed(members, compressed=True))
    return path


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        # Heights of the last run; the cells of one run follow those of the one before.
        (lambda manifest, members: members["values/height"].__imul__([1] * 6 + [2] * 3), 1),
        (lambda manifest, members: members["values/height"].__imul__([-1] * 3 + [1] * 6), 1),
        (lambda manifest, members: members.update({"values/height": members["values/height"][:-1]}),
         1),
        (lambda manifest, members: manifest["runs"][1].update(weights="0" * 16), 1),
        (lambda manifest, members: manifest["runs"][1].update(digest="0" * 16), 1),
        (lambda manifest, members: manifest["runs"][1].update(id="0" * 16), 1),
        (lambda manifest, members: manifest["times"][0].reverse(), 3),
        (lambda manifest, members: manifest["stacks"][0].update(finished=12), 3),
        (lambda manifest, members: manifest["stacks"][0].update(finished="yesterday"), 3),
        (lambda manifest, members: manifest["stacks"][0].update(seconds="1"), 3),
        (lambda manifest, members: manifest["stacks"][0].update(backend="/../../../../X"), 3),
        (lambda manifest, members: manifest["stacks"][0].update(versions={"keras": "9"}), 3),
        (lambda manifest, members: manifest["stacks"][0].pop("build"), 3),
        (lambda manifest, members: manifest.pop("runs"), 3),
        (lambda manifest, members: manifest.update(runs=7), 3),
    ],
)  # fmt: skip
def test_records_with_wrong_contents_are_told_and_redone(work, steps, lines, change, redone):
    executor = work("C2")
    whole = contents(executor)
    path = forged_records(executor, change)
    steps.clear()
    executor = work("C2")
    assert [size for size, _ in steps] == [redone]
    assert len(lines) == 1 and lines[0].startswith(path.name), lines
    assert only_file(executor, "set_aside/*.npz").name == path.name
    after = contents(executor)
    assert after.keys() == whole.keys()
    changed = [run for run in whole if after[run] != whole[run]]
    assert len(changed) <= redone  # a stack of one may differ by round-off
    steps.clear()
    work("C2")
    assert steps == [] and len(lines) == 1


def test_a_renamed_file_is_read_all_the_same(work, steps, lines):
    executor = work("C2")
    whole = contents(executor)
    path = only_file(executor, "runs/*/*.npz")
    path.rename(path.with_name("other.npz"))
    steps.clear()
    assert contents(work("C2")) == whole
    assert steps == [] and lines == [] and [*files(executor)] == [path.name]


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
    assert [size for size, _ in steps] == [3, 3] and len(contents(executor)) == 6
    plain = executor.find(first.experiment.at("laptop").run(PLAIN, 0))
    assert set(plain.columns) == {"loss", "height"}
    steps.clear()
    work("C1", "C2", paper=both)
    assert steps == []


def test_a_replay_that_misses_the_weights_trains_anew(work, steps, lines):
    executor = work("C1")
    whole = contents(work("C1", "C2", folder="whole"))
    run = executor.paper.claim("C1").experiment.at("laptop").run(PLAIN, 2)
    record = Store(executor.store.folder).get(executor._id(run))
    rewrite(executor, record, weights="0" * 16)
    steps.clear()
    executor = work("C1", "C2")
    assert [size for size, _ in steps] == [3, 1]
    assert len(lines) == 1 and "did not meet its weights bit for bit" in lines[0]
    after = contents(executor)
    assert all(after[other] == whole[other] for other in whole if other != run)
    assert set(after[run][0]) == {"loss", "height"}
    fresh = Store(executor.store.folder).get(executor._id(run))
    np.testing.assert_allclose(fresh["loss"], record["loss"], rtol=1e-4)
    aside = record_file.unpack(only_file(executor, "set_aside/*.npz").read_bytes()).records
    assert [one.settings for one in aside] == [run]


def rewrite(executor, record, **manifest):
    """Puts the record in place of the one that is there, as if it had been made so."""
    store = Store(executor.store.folder)
    others = [one for one in store.records() if one.id != record.id]
    record = dataclasses.replace(record, manifest={**record.manifest, **manifest})
    only_file(executor, "runs/*/*.npz").write_bytes(record_file.pack([*others, record]))


# What diverged, and what is searched


def judged(executor, name, control=False):
    claim = executor.paper.claim(name)
    return judge_runs(claim, executor.find, "laptop", range(3), control)


def test_a_run_that_diverges_is_finished_and_inconclusive(work, steps, real):
    executor = work("C4")
    assert len(contents(executor)) == 6
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
    assert sorted(size for size, _ in steps[:2]) == [3, 6] and [n for n, _ in steps[2:]] == [3]
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

        def train(self, chosen, tasks, workers):
            chosen = list(chosen)
            rounds.append([(task.manifest["experiment"], len(task.members)) for task in chosen])
            return real(self, chosen, tasks, workers)

        patch.setattr(Executor, "_train", train)
        work("C1", "C3", paper=dataclasses.replace(paper, claims=both))
    made = [chosen for chosen in rounds if chosen]
    # The second arm of the claim that searches waits for nothing either.
    assert sorted(made[0]) == [("base", 3), ("base", 6), ("other", 2), ("other", 2)]
    assert made[1:] == [[("base", 3)]]


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
    with store.writing(), pytest.raises(ValueError, match="'base' does not watch colour"):
        executor = Executor(paper, "laptop", store)
        executor.fulfil([Request(experiment, PLAIN, (0,), "colour")])
    assert steps == []
