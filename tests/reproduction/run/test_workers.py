"""Worker processes: what they are given, what they give back, and that none is left behind.

Most of these stacks train nothing, so that no worker loads a backend. Their module is written for
the test and found by the workers on the path that they inherit.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import wdattn
from wdattn.reproduction import Progress, Record, Store, WorkerLost, load
from wdattn.reproduction.run.executor import Executor
from wdattn.reproduction.run.stack import Stack
from wdattn.reproduction.run.workers import Workers, _shares, checked_jobs

BACKEND = keras.backend.backend()
CPU = {"backend": BACKEND, "device": "cpu"}
STACKS = '''
import os, pathlib, signal, sys, threading, time
from dataclasses import dataclass
from wdattn.reproduction import Paper, Settings
from wdattn.reproduction.run.member import Member
from wdattn.reproduction.run.stack import Stack

@dataclass(frozen=True)
class Light(Paper):
    """Its build loads no backend."""

    def build(self, settings):
        return "light"

@dataclass(frozen=True, kw_only=True)
class Run(Settings):
    steps: int = 9

def made(kind, label, folder):
    paper = Light("light2024", "Light", "Light et al.", (), (), "stacks_of_a_test")
    return kind(paper, label, [Member(Run(), {})], {"build": "light", "members": []}, folder)

class Telling(Stack):
    """Tells of the worker; takes as many steps as its label says."""

    def train(self, advance):
        loaded = "keras" in sys.modules
        for _ in range(int(self.label)):
            advance(1)
        time.sleep(0.5)  # long enough for the other one to begin
        import keras
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        return os.getpid(), loaded, keras.backend.backend(), cores

class Plain(Stack):
    def train(self, advance):
        return os.getpid()

class Failing(Stack):
    def train(self, advance):
        raise ZeroDivisionError("no such luck")

class Killed(Stack):
    def train(self, advance):
        os.kill(os.getpid(), signal.SIGKILL)

class Waiting(Stack):
    def train(self, advance):
        pathlib.Path(self.folder, self.label).write_text(str(os.getpid()))
        time.sleep(600)
'''


@pytest.fixture
def stacks(tmp_path, monkeypatch):
    """Makes a stack of a class of the module above."""
    (tmp_path / "stacks_of_a_test.py").write_text(STACKS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stacks_of_a_test", raising=False)
    import stacks_of_a_test

    def make(kind, label="1"):
        return stacks_of_a_test.made(getattr(stacks_of_a_test, kind), label, tmp_path)

    return make


def trained(workers, stacks, seconds=lambda stack: 1.0):
    return list(workers.train(stacks, lambda stack: stack, seconds))


def is_there(pid) -> bool:
    """Whether it runs; one that ended and was not waited for does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(state.strip()) and not state.startswith("Z")


def gone(pids, seconds=10.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(map(is_there, pids)):
        time.sleep(0.05)
    return not any(map(is_there, pids))


class Counting(Progress):
    """Counts the steps of each bar."""

    def __init__(self):
        self.steps, self.open, self.most = {}, 0, 0

    @contextlib.contextmanager
    def stack(self, label, steps):
        bar = len(self.steps)
        self.steps[bar] = 0
        self.open += 1
        self.most = max(self.most, self.open)
        yield lambda count: self.steps.update({bar: self.steps[bar] + count})
        self.open -= 1


@pytest.mark.slow
def test_stacks_are_trained_side_by_side_each_on_its_cores(stacks):
    progress = Counting()
    tasks = [stacks("Telling", str(count)) for count in (1, 2, 3, 4)]
    with Workers(2, CPU, progress) as workers:
        outcomes = trained(workers, tasks, lambda stack: float(stack.label))
        (_, (again, *_)), _ = trained(workers, [stacks("Telling"), stacks("Telling")])
    assert sorted(int(stack.label) for stack, _ in outcomes) == [1, 2, 3, 4]
    first = {int(stack.label) for stack, _ in outcomes[:2]}
    assert first & {3, 4}  # the longest are begun first
    pids = {pid for _, (pid, *_) in outcomes}
    assert len(pids) == 2 and os.getpid() not in pids and again in pids
    assert {backend for _, (_, _, backend, _) in outcomes} == {BACKEND}
    for pid in pids:
        (unloaded, *_) = [loaded for _, (of, loaded, *_) in outcomes if of == pid]
        assert not unloaded, "Keras was loaded before the worker was pinned"
    if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1:
        shares = {tuple(cores) for _, (*_, cores) in outcomes}
        assert len(shares) == 2 and set().union(*shares) == os.sched_getaffinity(0)
        assert sum(map(len, shares)) == len(os.sched_getaffinity(0))
    assert progress.most == 2 and progress.open == 0
    assert sorted(progress.steps.values())[-1] == 4 and sum(progress.steps.values()) == 12
    assert gone(pids) and multiprocessing.active_children() == []


def test_an_error_in_a_worker_is_raised_as_it_is_and_ends_the_others(stacks):
    with Workers(2, CPU, Progress()) as workers:
        with pytest.raises(ZeroDivisionError, match="no such luck"):
            trained(workers, [stacks("Waiting", "pid"), stacks("Failing")])
    assert multiprocessing.active_children() == []


def test_a_killed_worker_is_told(stacks):
    with Workers(2, CPU, Progress()) as workers:
        with pytest.raises(WorkerLost, match="goes on from here"):
            trained(workers, [stacks("Waiting", "pid"), stacks("Killed")])
    assert multiprocessing.active_children() == []


DRIVER = """
import pathlib
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from stacks_of_a_test import Waiting, made
from wdattn.reproduction import Progress
from wdattn.reproduction.run.workers import Workers

tasks = [made(Waiting, name, pathlib.Path(__file__).parent) for name in "ab"]
# No guard: a worker must not run this again.
with Workers(2, {{"backend": {backend!r}, "device": "cpu"}}, Progress()) as workers:
    list(workers.train(tasks, lambda stack: stack, lambda stack: 1.0))
"""


@pytest.mark.skipif(os.name != "posix", reason="process groups and SIGKILL")
@pytest.mark.parametrize("end", ["Ctrl-C", "a kill of the parent alone"])
def test_no_worker_outlives_the_parent(stacks, tmp_path, end):
    script = tmp_path / "script.py"
    script.write_text(DRIVER.format(backend=BACKEND))
    options = {"stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    files = [tmp_path / "a", tmp_path / "b"]
    until = time.monotonic() + 60
    with subprocess.Popen([sys.executable, str(script)], **options) as parent:
        while not all(path.exists() and path.read_text() for path in files):
            if parent.poll() is not None or time.monotonic() > until:
                parent.kill()
                pytest.fail(parent.stderr.read())
            time.sleep(0.05)
        pids = [int(path.read_text()) for path in files]
        assert all(map(is_there, pids)) and parent.pid not in pids
        if end == "Ctrl-C":
            os.killpg(parent.pid, signal.SIGINT)
        else:
            parent.kill()
        try:
            _, said = parent.communicate(timeout=30)
        finally:
            parent.kill()
    assert gone(pids)
    if end == "Ctrl-C":
        assert said.count("KeyboardInterrupt") == 1, said  # of the parent alone


def test_what_a_worker_cannot_have_is_trained_here(stacks):
    class Local(type(stacks("Plain"))):
        """Not found by name."""

    plain = stacks("Plain")
    local = [Local(**vars(plain)) for _ in range(2)]
    with Workers(2, CPU, Progress()) as workers:
        assert [pid for _, pid in trained(workers, local)] == [os.getpid()] * 2
        assert multiprocessing.active_children() == []


def test_other_code_than_this_process_has_is_not_trained_by_a_worker(stacks):
    stack = stacks("Plain")
    assert Stack.unpacked(stack.packed()).label == "1"
    assert stack.packed() and not Stack.unpacked(stack.packed()).paper.claims
    edited = type(stack)(**{**vars(stack), "manifest": {"build": "0" * 12, "members": []}})
    assert Stack.unpacked(edited.packed()) is None
    assert Stack.unpacked(pickle.dumps(1)) is None and Stack.unpacked(b"") is None


def test_how_many():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert Workers(None, CPU, Progress()).count == min(cores, 4)
    assert Workers(None, {**CPU, "device": "cuda H100"}, Progress()).count == 1
    assert Workers(3, {**CPU, "device": "gpu"}, Progress()).count == 3
    assert checked_jobs(None) is None and checked_jobs(np.int64(2)) == 2


@pytest.mark.parametrize("jobs", [0, -1, 1.5, "2", (2,)])
def test_bad_jobs(jobs, tmp_path):
    with pytest.raises(ValueError, match="`jobs` must be None or an int >= 1, got"):
        wdattn.reproduce("ahn2024", scale="smoke", claim="C1", jobs=jobs, out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_shares_are_even_and_leave_no_core_out(monkeypatch, count):
    monkeypatch.setattr("wdattn.reproduction.run.workers._cores", lambda: [1, 2, 5, 6])
    shares = _shares(count)
    assert len(shares) == count and set().union(*shares) == {1, 2, 5, 6}
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(("jobs", "seconds", "used"), [
    (1, 99.0, False), (2, 0.0, True), (None, 14.0, False), (None, 16.0, True),
])  # fmt: skip
def test_workers_are_started_where_they_pay(monkeypatch, stacks, jobs, seconds, used):
    monkeypatch.setattr("wdattn.reproduction.run.workers._cores", lambda: [0, 1])

    def none_is_started(self, tasks, begin):
        return ((task, "by a worker") for task in tasks)

    monkeypatch.setattr(Workers, "_side_by_side", none_is_started)
    workers = Workers(jobs, CPU, Progress())
    here = os.getpid()
    tasks = [stacks("Plain")] * 2
    said = {outcome for _, outcome in trained(workers, tasks, lambda stack: seconds)}
    assert said == {"by a worker" if used else here}
    ((_, outcome),) = trained(workers, tasks[:1], lambda stack: seconds)
    assert outcome == here  # one alone has nobody to share with


# With a backend


def made(folder) -> dict:
    return {record.settings: record for record in load(folder)}


def assert_same_to_round_off(ours: dict, theirs: dict):
    """One core may sum a product in another order than two do.

    At this size each backend gave the same bits; a factor of 1e-7, grown over 50 steps, is let by.
    """
    assert ours.keys() == theirs.keys()
    for settings, record in ours.items():
        other: Record = theirs[settings]
        assert record.columns.keys() == other.columns.keys()
        assert record.manifest["members"] == other.manifest["members"]
        for name in record.columns:
            np.testing.assert_array_equal(record.steps(name), other.steps(name))
            np.testing.assert_allclose(record[name], other[name], rtol=1e-4, err_msg=name)


@pytest.mark.slow
def test_the_records_are_the_same_and_a_killed_worker_does_not_show(tmp_path, monkeypatch):
    # A checkpoint after every step, so that there is one when the worker is killed.
    monkeypatch.setattr(Executor.__init__, "__defaults__", (None, 0.0, 1))

    class Killing(Progress):
        """Kills a worker once it is under way."""

        @contextlib.contextmanager
        def stack(self, label, steps):
            yield self.advance

        def advance(self, count):
            if count and list(tmp_path.glob("two/ahn2024/stacks/*.npz")):
                multiprocessing.active_children()[0].kill()

    def reproduce(folder, jobs, progress=None):
        return wdattn.reproduce(
            "ahn2024", scale="smoke", claim="C1", jobs=jobs, out=tmp_path / folder,
            progress=progress,
        )  # fmt: skip

    whole = reproduce("one", 1)
    with pytest.raises(WorkerLost):
        reproduce("two", 2, Killing())
    assert multiprocessing.active_children() == []
    begun = Store(tmp_path / "two" / "ahn2024").stacks.all()
    assert 1 <= len(begun) <= 2
    with monkeypatch.context() as patch:
        patch.setattr(Stack, "train", None)  # this process trains nothing
        ledger = reproduce("two", 2)
        patch.setattr(Workers, "_side_by_side", None)
        assert reproduce("two", 2) == ledger  # and nothing is started for what is there
    assert not list((tmp_path / "two" / "ahn2024" / "stacks").iterdir())
    assert_same_to_round_off(made(tmp_path / "two"), made(tmp_path / "one"))
    assert [row.verdict for row in ledger] == [row.verdict for row in whole]
