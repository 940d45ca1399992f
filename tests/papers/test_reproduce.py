"""`reproduce` from names to ledger: what it refuses and keeps, and that a kill does not show."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import wdattn
from wdattn import papers
from wdattn.ledger import Ledger
from wdattn.papers import KEYS, judged, plan, reproduce
from wdattn.papers.reproduce import seed_list, select
from wdattn.reproduction import Store, StoreBusy, load
from wdattn.reproduction.run import training as loop

BACKEND = keras.backend.backend()
CLAIMS = ("C1", "C5", "C6", "C10", "C11")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The headline claims at smoke scale: the folder and the ledger."""
    folder = tmp_path_factory.mktemp("results")
    return folder, wdattn.reproduce(scale="smoke", out=folder)


@pytest.fixture
def idle(monkeypatch):
    """Training fails."""

    def train(*arguments, **options):
        raise AssertionError("a finished run was repeated")

    monkeypatch.setattr(loop, "train", train)


def stamps(folder):
    """Records by name: bytes and time of change."""
    paths = Path(folder).glob("*/runs/*.npz")
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def test_the_top_level_name_is_the_papers_function():
    assert wdattn.reproduce is papers.reproduce


def test_the_ledger_has_a_row_a_claim(done):
    _, ledger = done
    assert tuple(row["claim"] for row in ledger) == CLAIMS
    for row in ledger:
        assert row["backend"] == BACKEND and row["scale"] == "smoke" and row["seeds"] == [0, 1]
        assert row["verdict"] == "inconclusive" and "3 seeds are needed" in row["why"]
        assert row["control"] is None  # not asked for
        assert all(part["effect"] is not None for part in row["parts"]), row["why"]
        assert row["versions"]["backend"] == BACKEND


def test_the_file_is_the_ledger(done):
    folder, ledger = done
    assert Ledger.load(folder / "ahn2024" / "ledger.json") == ledger


def test_judging_the_records_anew_gives_the_same_ledger(done):
    folder, ledger = done
    assert judged(folder) == ledger
    assert load(folder).backends() == (BACKEND,)


def test_a_second_call_runs_nothing(done, idle):
    folder, ledger = done
    before = stamps(folder)
    assert reproduce(scale="smoke", out=str(folder)) == ledger
    assert stamps(folder) == before


def test_a_call_for_one_claim_keeps_the_other_rows(done, idle):
    folder, ledger = done
    (row,) = reproduce("ahn2024", scale="smoke", claim="C6", out=folder)
    assert row == ledger[2]
    assert Ledger.load(folder / "ahn2024" / "ledger.json") == ledger


def test_other_seeds_add_a_row(done, idle, tmp_path):
    folder, ledger = done
    path = folder / "ahn2024" / "ledger.json"
    before = path.read_bytes()
    (row,) = reproduce("ahn2024", scale="smoke", claim="C1", seeds=np.arange(1, 2), out=folder)
    assert row["seeds"] == [1] and row["verdict"] == "inconclusive"
    assert len(Ledger.load(path)) == len(ledger) + 1
    assert judged(folder) == Ledger.load(path)
    path.write_bytes(before)


def test_a_busy_store_is_told(done):
    folder, _ = done
    with Store(folder / "ahn2024").writing():
        with pytest.raises(StoreBusy, match=rf"is being written by process {os.getpid()}"):
            reproduce("ahn2024", scale="smoke", claim="C1", out=folder)


def test_a_broken_record_is_reported_and_redone(done):
    folder, ledger = done
    noise = [r for r in load(folder) if r.manifest["experiment"] == "noise"]
    path = folder / "ahn2024" / "runs" / f"{noise[0].manifest['id']}.npz"
    path.write_bytes(path.read_bytes()[:-200])
    before = stamps(folder)
    with pytest.warns(UserWarning, match=rf"{path.name} is left out \(BadZipFile"):
        (cost,) = plan("ahn2024", scale="smoke", claim="C5", out=folder)
    assert (cost["runs"], cost["stored"]) == (4, 3)
    assert stamps(folder) == before  # a plan moves nothing
    with pytest.warns(UserWarning, match=rf"{path.name} was moved to .*set_aside"):
        (row,) = reproduce("ahn2024", scale="smoke", claim="C5", out=folder)
    after = stamps(folder)
    assert {name for name in after if after[name] != before[name]} == {path.name}
    assert row["parts"][0]["effect"] == pytest.approx(ledger[1]["parts"][0]["effect"], rel=1e-4)
    assert len(load(folder)) == len(after)


def test_a_plan_counts_and_writes_nothing(done, tmp_path):
    folder, _ = done
    base, noise = plan(scale="smoke", controls=True, out=folder)
    assert (base["experiment"], noise["experiment"]) == ("base", "noise")
    # Both optimizers; with one layer too; and Adam's other stream, on two seeds.
    assert (base["runs"], base["stored"]) == (10, 4)
    assert (noise["runs"], noise["stored"]) == (6, 4)
    assert base["steps"] == 50 and noise["steps"] == 0 and base["parameters"] == 150
    assert 0 < base["seconds"] < 60 and 0 < base["megabytes"] < 10
    empty = tmp_path / "not there"
    costs = plan(scale="paper", out=empty)
    assert [cost["stored"] for cost in costs] == [0, 0] and costs[0]["steps"] == 10_000
    # Two optimizers, each with ten rates on three seeds, then six judged runs at the best of them.
    assert costs[0]["searched"] and costs[0]["runs"] == 2 * (10 * 3 + 6)
    assert not costs[1]["searched"]
    assert not empty.exists()


@pytest.mark.slow
def test_the_whole_paper_runs_and_is_drawn(tmp_path):
    ledger = reproduce("ahn2024", scale="smoke", out=tmp_path)
    assert [row["claim"] for row in ledger] == [f"C{n}" for n in range(1, 26)]
    for row in ledger:
        assert row["verdict"] == "inconclusive", row["why"]
        assert all(part["effect"] is not None for part in row["parts"]), row["why"]
    assert len(ledger[15]["beside"]) == 2
    page = papers.write_report(tmp_path).read_text("utf-8")
    drawn = {path.name.split("-smoke")[0] for path in tmp_path.glob("ahn2024/figures/*.png")}
    figures = papers.lookup("ahn2024").figures
    assert drawn - {"ledger.png"} == {
        f.name for f in figures if f.drawn_at("smoke") and not f.across
    }
    assert all(
        figure.title in page for figure in figures if figure.drawn_at("smoke") and not figure.across
    )


def test_a_study_has_no_claims_and_is_not_made_at_other_scales(tmp_path):
    ((paper, claims, studies),) = select("ahn2024", "large", None)
    assert claims == () and studies == ("large",)
    (cost,) = plan("ahn2024", experiment="large", scale="smoke", out=tmp_path)
    assert (cost["experiment"], cost["runs"]) == ("large", 4)
    with pytest.raises(ValueError, match="`scale` must be one of smoke, paper, got 'laptop'"):
        plan("ahn2024", experiment="large", out=tmp_path)
    assert select("ahn2024", None, "C1")[0][2] == ()
    names = {cost["experiment"] for cost in plan("ahn2024", out=tmp_path)}
    assert names == set(paper.experiments()) - {"large", "large-noise"}


# Names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": "ahn2023"}, "`key` must be one of ahn2024.*, got 'ahn2023'"),
        ({"key": "ahn2024", "claim": "C99"}, "`claim` must be one of C1, C2, C3, .*, got 'C99'"),
        ({"key": "ahn2024", "experiment": "bass"}, "`experiment` must be one of base, noise"),
        ({"key": "ahn2024", "experiment": "base", "claim": "C5"}, "'C5' of ahn2024 reads 'noise'"),
        ({"key": "ahn2024", "scale": "big"}, "`scale` must be one of smoke, laptop, paper, got"),
        ({"claim": "C1"}, "`claim` 'C1' needs a `key`, one of ahn2024"),
        ({"experiment": "base"}, "`experiment` 'base' needs a `key`, one of ahn2024"),
        ({"seeds": 0}, "`seeds` must be an int >= 1 or different ints >= 0, got 0"),
        ({"seeds": ()}, "`seeds` must be"),
        ({"seeds": range(5, 5)}, "`seeds` must be"),
        ({"seeds": (1, 1)}, "`seeds` must be"),
        ({"seeds": (-1, 1)}, "`seeds` must be"),
        ({"seeds": (0.5, 1)}, "`seeds` must be"),
        ({"seeds": 2.5}, "`seeds` must be"),
        ({"seeds": "abc"}, "`seeds` must be"),
    ],
)
def test_bad_names(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        reproduce(**{"out": tmp_path / "results", **arguments})
    with pytest.raises(ValueError, match=message):
        plan(**{"out": tmp_path / "results", **arguments})
    assert not (tmp_path / "results").exists()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"`out` must be a folder that can be written, got .*file"):
        reproduce("ahn2024", scale="smoke", out=tmp_path / "file" / "results")


def test_seed_lists():
    assert seed_list(None) is None
    assert seed_list(3) == (0, 1, 2)
    assert seed_list(np.int64(2)) == (0, 1)
    assert seed_list(range(100, 103)) == (100, 101, 102)
    assert seed_list(np.array([7, 5])) == (7, 5)
    assert all(type(seed) is int for seed in seed_list(np.array([7, 5])))


def test_without_a_key_the_headlines_are_meant():
    assert [paper.key for paper, *_ in select(None, None, None)] == list(KEYS)
    for paper, claims, studies in select(None, None, None):
        assert tuple(claim.id for claim in claims) == paper.headline and studies == ()


# Kills

DRIVER = """
import os, pathlib, runpy, signal, sys
from wdattn.reproduction.run.executor import Executor
from wdattn.replicas import Replicas

Executor.__init__.__defaults__ = (None, 0.0, 1)  # a checkpoint after every step
left = int(sys.argv.pop(1))

def counted(real):
    def call(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    return call

# A kill before a step, before a file is whole on disk, and before it has its name.
Replicas.step = counted(Replicas.step)
os.fsync = counted(os.fsync)
pathlib.Path.replace = counted(pathlib.Path.replace)
runpy.run_module("wdattn", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
def test_kills_at_random_moments_do_not_show(tmp_path):
    command = ["reproduce", "ahn2024", "--scale", "smoke", "--claim", "C1", "--out"]

    def run(folder, snapshot):
        line = [sys.executable, "-c", DRIVER, str(snapshot), *command, str(tmp_path / folder)]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    # 2 stacks of 50 steps, with 3 moments in each: none of these calls comes to its end.
    for snapshot in np.random.default_rng(7).integers(10, 110, 3):
        before = stamps(tmp_path / "killed")
        assert run("killed", snapshot).returncode == -signal.SIGKILL
        assert before.items() <= stamps(tmp_path / "killed").items()
        assert not (tmp_path / "killed" / "ahn2024" / "ledger.json").exists()
    before = stamps(tmp_path / "killed")
    last = run("killed", -1)
    assert last.returncode == 0, last.stderr
    assert before.items() <= stamps(tmp_path / "killed").items()
    assert not list((tmp_path / "killed").rglob("*.partial"))
    assert not list((tmp_path / "killed").rglob("stacks/*"))

    reproduce("ahn2024", scale="smoke", claim="C1", out=tmp_path / "whole")
    ledgers = [tmp_path / name / "ahn2024" / "ledger.json" for name in ("killed", "whole")]
    assert ledgers[0].read_bytes() == ledgers[1].read_bytes()
    assert len(stamps(tmp_path / "killed")) == len(stamps(tmp_path / "whole")) == 4
