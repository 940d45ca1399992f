"""Files are whole or absent; what cannot be read is reported and moved aside; one writer."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import filelock
import numpy as np
import pytest

from wdattn.reproduction import Record, Store, StoreBusy

IDENTITY = {"build": "b", "backend": "jax", "precision": "float32"}


@pytest.fixture
def record(toy, rng):
    columns = {
        "loss": (np.arange(3), rng.normal(size=3)),
        "noise": (np.array([0]), rng.normal(size=(1, 2, 4))),
        "lost": (np.array([0, 5]), np.array([1.0, np.nan])),
    }
    weights = (rng.normal(size=(2, 3)).astype("float32"), np.array(np.nan), np.zeros(0))
    return Record(toy(learning_rate=0.1, seed=3), columns, {**IDENTITY, "seconds": 1.5}, weights)


@pytest.fixture
def run_id(record):
    return record.settings.run_id(*IDENTITY.values())


@pytest.fixture
def lines():
    return []


@pytest.fixture
def store(tmp_path, lines):
    """A store that this process holds."""
    store = Store(tmp_path / "toy", lines.append)
    with store.writing():
        yield store


def same(old, new):
    assert old.settings == new.settings
    assert set(old.columns) == set(new.columns)
    pairs = [
        pair
        for name in old.columns
        for pair in zip(old.columns[name], new.columns[name], strict=True)
    ]
    for before, after in [*pairs, *zip(old.weights, new.weights, strict=True)]:
        assert before.dtype == after.dtype and before.shape == after.shape
        assert before.tobytes() == after.tobytes()
    return True


def file_of(store, run_id):
    return store.folder / "runs" / f"{run_id}.npz"


def test_a_record_comes_back_to_the_bit(store, record, run_id):
    store.save(run_id, record)
    found = store.get(run_id)
    assert same(record, found)
    assert found.manifest == {**record.manifest, "id": run_id}
    assert [one.settings for one in store.records()] == [record.settings]


def test_what_is_not_there_is_none(store, lines):
    assert store.get("0" * 16) is None
    assert store.resume("0" * 16) is None
    assert store.records() == [] and store.stacks() == {}
    assert lines == []


def test_every_truncation_is_moved_aside(store, record, run_id, lines):
    store.save(run_id, record)
    path = file_of(store, run_id)
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        assert store.get(run_id) is None
        assert not path.exists()
        assert (store.folder / "set_aside" / path.name).read_bytes() == whole[:size]
        assert f"{path.name} was moved to" in lines.pop()
    assert lines == []


def test_a_flipped_bit_is_moved_aside_or_harmless(store, record, run_id, lines):
    store.save(run_id, record)
    path = file_of(store, run_id)
    whole = path.read_bytes()
    aside = 0
    # At the end is the table of contents, which no checksum guards.
    for place in [*range(0, len(whole) - 99, 13), *range(len(whole) - 99, len(whole))]:
        for flip in (1, 128, 255):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            found = store.get(run_id)
            aside += found is None
            assert found is None or same(record, found)
            assert path.exists() == (found is not None)
    assert len(lines) == aside > 100


def test_a_renamed_record_is_moved_aside(store, record, run_id, lines):
    store.save(run_id, record)
    file_of(store, run_id).rename(file_of(store, "0123456789abcdef"))
    assert store.records() == []
    assert "its contents are those of run " + run_id in lines[0]
    assert (store.folder / "set_aside" / "0123456789abcdef.npz").exists()


def test_changed_settings_are_moved_aside(store, record, run_id, lines, toy):
    # The name is right, the settings inside are another run's.
    store.save(run_id, Record(toy(learning_rate=0.2, seed=3), record.columns, record.manifest))
    assert store.get(run_id) is None
    assert "its contents are those of run" in lines[0]


def test_a_setting_that_was_added_since_does_not_age_a_record(store, record, run_id, lines, toy):
    path = file_of(store, run_id)
    packed = {k: v for k, v in record.settings.packed().items() if k != "depth"}

    class Older:
        def __getattr__(self, name):
            return getattr(record.settings, name)

        def packed(self):
            return packed

    from wdattn.reproduction.design.settings import run_id_of

    name = run_id_of(packed, *IDENTITY.values())
    store.save(name, Record(Older(), record.columns, record.manifest, record.weights))
    assert store.get(name).settings == toy(learning_rate=0.1, seed=3)
    assert lines == [] and not path.exists()


def test_a_reader_moves_nothing(tmp_path, record, run_id, lines):
    store = Store(tmp_path, lines.append)
    store.save(run_id, record)
    path = file_of(store, run_id)
    path.write_bytes(path.read_bytes()[:50])
    assert store.records() == []
    assert path.exists() and not (tmp_path / "set_aside").exists()
    assert f"{path.name} is left out (BadZipFile" in lines[0]


def test_discard_says_why(store, record, run_id, lines):
    store.save(run_id, record)
    store.discard(run_id, "a reason")
    assert store.get(run_id) is None
    assert "(a reason)" in lines[0]
    assert (store.folder / "set_aside" / f"{run_id}.npz").exists()


def test_a_kill_before_the_rename_leaves_the_old_file(store, record, run_id, monkeypatch, toy):
    store.save(run_id, record)
    before = file_of(store, run_id).read_bytes()

    def killed(self, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            store.save(run_id, Record(record.settings, {}, record.manifest))
    assert file_of(store, run_id).read_bytes() == before
    assert same(record, store.get(run_id))
    assert len(store.records()) == 1  # the half-written neighbour is not one


def test_half_written_files_are_cleared_by_the_next_writer(tmp_path):
    left = tmp_path / "runs" / "abc.npz.123.partial"
    left.parent.mkdir()
    left.write_bytes(b"half")
    with Store(tmp_path).writing():
        assert not left.exists()


# Stacks


def test_a_stack_is_remembered_until_it_is_finished(store):
    manifest = {"experiment": "base", "members": [{"id": "1"}]}
    store.begin("abc", manifest)
    assert store.stacks() == {"abc": {"stack": "abc", **manifest}}
    assert store.resume("abc") is None
    state = {"steps_taken": np.asarray(3), "parameters": np.float32([[1, np.nan]])}
    store.checkpoint("abc", state)
    store.checkpoint("abc", {**state, "steps_taken": np.asarray(4)})
    found = store.resume("abc")
    assert set(found) == set(state) and found["steps_taken"] == 4
    assert found["parameters"].tobytes() == state["parameters"].tobytes()
    store.finish("abc")
    assert store.stacks() == {} and store.resume("abc") is None
    store.finish("abc")  # again, after a kill


def test_a_new_stack_does_not_go_on_from_an_old_checkpoint(store):
    # Its manifest was lost; the cells in it may be of other columns.
    store.checkpoint("abc", {"steps_taken": np.asarray(3)})
    store.begin("abc", {"experiment": "base", "members": []})
    assert store.resume("abc") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"stack": "other"}', "\x00\xff"])
def test_a_broken_manifest_is_moved_aside(store, lines, text):
    store.begin("abc", {"experiment": "base", "members": []})
    (store.folder / "stacks" / "abc.json").write_text(text)
    assert store.stacks() == {}
    assert "abc.json was moved to" in lines[0]
    assert (store.folder / "set_aside" / "abc.json").exists()


def test_a_broken_checkpoint_is_moved_aside(store, lines):
    store.checkpoint("abc", {"parameters": np.ones(9)})
    path = store.folder / "stacks" / "abc.npz"
    path.write_bytes(path.read_bytes()[:-30])
    assert store.resume("abc") is None
    assert "abc.npz was moved to" in lines[0]


# One writer


def test_a_second_writer_is_told_who_holds_it(store):
    with pytest.raises(StoreBusy, match=rf"toy is being written by process {os.getpid()}$"):
        with Store(store.folder).writing():
            pass


def test_the_store_is_free_after_an_error(tmp_path):
    with pytest.raises(KeyError), Store(tmp_path).writing():
        raise KeyError
    with Store(tmp_path).writing():
        pass
    assert not (tmp_path / ".holder").exists()


def test_a_holder_without_a_name(tmp_path):
    with filelock.FileLock(tmp_path / ".lock"):
        with pytest.raises(StoreBusy, match="is being written by another process"):
            with Store(tmp_path).writing():
                pass


HOLDER = """
import sys
from wdattn.reproduction.run.store import Store
with Store(sys.argv[1]).writing():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_killed_writer_frees_the_store(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=-1, stdout=-1, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy, match=rf"is being written by process {holder.pid}$"):
            with Store(tmp_path).writing():
                pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert (tmp_path / ".holder").exists()  # it had no time to take its name away
    with Store(tmp_path).writing():
        assert str(os.getpid()) in (tmp_path / ".holder").read_text()


def test_the_manifest_of_a_record_is_plain_json(store, record, run_id):
    store.save(run_id, record)
    with np.load(file_of(store, run_id), allow_pickle=False) as file:
        manifest = json.loads(str(file["manifest"]))
    assert manifest["settings"]["learning_rate"] == 0.1 and manifest["id"] == run_id
