"""Files are whole or absent; what cannot be read is reported and moved aside; one writer."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import filelock
import numpy as np
import pytest

from tests.made_records import SHARED, finished
from wdattn.reproduction import Store, StoreBusy
from wdattn.reproduction.design.settings import run_id_of
from wdattn.reproduction.run import archive, record_file, stack_states
from wdattn.reproduction.run.store import folders_of

FILE = "runs/jax/base-laptop-b.npz"


@pytest.fixture
def pair(toy, rng):
    """Two records of a stack."""
    return finished(
        *(
            (
                toy(learning_rate=0.1, seed=seed),
                {
                    "loss": (np.arange(3), rng.normal(size=3).astype("float32").astype("float64")),
                    "noise": (np.array([0]), rng.normal(size=(1, 2, 4))),
                    "lost": (np.array([0, 5]), np.array([1.0, np.nan])),
                },
            )
            for seed in (3, 4)
        )
    )


@pytest.fixture
def lines():
    return []


@pytest.fixture
def store(tmp_path, lines):
    """A store that this process holds."""
    store = Store(tmp_path / "toy", lines.append)
    with store.writing():
        yield store


def again(store):
    """The store as another process opens it."""
    fresh = Store(store.folder, store.report)
    fresh._held = store._held
    return fresh


def same(old, new):
    assert old.settings == new.settings and old.manifest == new.manifest
    assert set(old.columns) == set(new.columns)
    for name in old.columns:
        for before, after in zip(old.columns[name], new.columns[name], strict=True):
            assert before.dtype == after.dtype and before.shape == after.shape
            assert before.tobytes() == after.tobytes()
    return True


def put(store, records):
    """Writes them into the file that they are put together in."""
    path = store.folder / FILE
    archive.write_whole(path, record_file.pack(records))
    return path


def aside(store):
    return sorted(path.name for path in (store.folder / "set_aside").glob("*"))


def test_records_come_back_to_the_bit(store, pair):
    store.add(pair)
    for known in (store, again(store)):
        for record in pair:
            assert same(record, known.get(record.id))
        assert [one.id for one in known.records()] == sorted(one.id for one in pair)


def test_one_file_for_an_experiment_scale_build_and_backend(tmp_path, toy, pair):
    columns = pair[0].columns
    others = {
        "runs/jax/base-laptop-c.npz": {"build": "c"},
        "runs/jax/other-laptop-b.npz": {"experiment": "other"},
        "runs/jax/base-smoke-b.npz": {"scale": "smoke"},
        "runs/torch/base-laptop-b.npz": {"backend": "torch"},
    }
    store = Store(tmp_path)
    with store.writing():
        store.add(pair)
        store.add(finished((toy(seed=9), columns), seconds=2.0, finished="2027-01-02T03:04:05Z"))
        for place, change in enumerate(others.values()):
            store.add(finished((toy(seed=20 + place), columns), **change))
        assert len(list(tmp_path.glob("runs/*/*+*.npz"))) == 6
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.glob("runs/*/*")} == {
        FILE, *others,
    }  # fmt: skip
    with zipfile.ZipFile(tmp_path / FILE) as file:
        manifest = json.loads(file.read("manifest.json"))
    assert len(manifest["runs"]) == 3 and len(manifest["stacks"]) == 2
    (late,) = [one for one in Store(tmp_path).records() if one.settings.seed == 9]
    assert late.manifest["seconds"] == 2.0 and late.manifest["finished"].startswith("2027")
    before = (tmp_path / FILE).stat().st_mtime_ns
    with Store(tmp_path).writing():
        pass
    assert (tmp_path / FILE).stat().st_mtime_ns == before  # nothing to put together


def test_equal_records_are_equal_files(pair, toy):
    more = finished((toy(seed=9), pair[0].columns))
    assert record_file.pack([*pair, *more]) == record_file.pack([*more, *reversed(pair)])


def test_numpy_alone_reads_the_columns(store, pair):
    with np.load(put(store, pair), allow_pickle=False) as file:
        manifest = json.loads(file["manifest.json"])
        losses = file["values/loss"]
    assert losses.dtype == "float32"  # they were computed in it
    first, second = sorted(pair, key=lambda record: record.id)
    np.testing.assert_array_equal(losses, np.concatenate([first["loss"], second["loss"]]))
    assert [run["id"] for run in manifest["runs"]] == [first.id, second.id]
    assert manifest["settings"][first.id]["learning_rate"] == 0.1


def test_further_columns_are_those_of_the_same_run(store, pair):
    store.add(pair)
    columns = {"loss": (np.array([7]), np.array([70.0])), "new": (np.array([0]), np.array([1.0]))}
    kept = {5: "b" * 16}
    more = dataclasses.replace(pair[0], columns=columns,
                               manifest={**pair[0].manifest, "kept": kept})  # fmt: skip
    store.add([more])
    for known in (store, again(store)):
        record = known.get(pair[0].id)
        np.testing.assert_array_equal(record.steps("loss"), [0, 1, 2, 7])
        np.testing.assert_array_equal(record["loss"], [*pair[0]["loss"], 70])
        assert record["new"] == 1 and record.kept == (5,) and record.manifest["kept"] == kept
        assert same(pair[1], known.get(pair[1].id))


def test_a_run_with_other_weights_in_another_file_is_left_out(store, pair, lines):
    store.add(pair)
    other = {**pair[0].manifest, "weights": "c" * 16}
    store.add([dataclasses.replace(pair[0], manifest=other, columns={})])
    assert same(pair[0], store.get(pair[0].id))
    assert len(lines) == 1 and "another file has it with other weights" in lines[0]


def test_what_is_not_there_is_none(store, lines):
    assert store.get("0" * 16) is None
    assert store.records() == [] and store.stacks.all() == []
    assert store.weights.get("0" * 16, 0, "0" * 16) is None
    assert lines == []


def test_every_truncation_is_moved_aside(store, pair, lines):
    whole = put(store, pair).read_bytes()
    for count, size in enumerate(range(0, len(whole), 17)):
        path = put(store, pair)
        path.write_bytes(whole[:size])
        assert again(store).records() == []
        assert not path.exists() and len(aside(store)) == count + 1
        assert f"{path.name} was moved to" in lines.pop()
    assert lines == []


def test_a_flipped_bit_is_moved_aside_or_harmless(store, pair, lines):
    whole = put(store, pair).read_bytes()
    lost = 0
    # At the end is the table of contents, which no checksum guards.
    for place in [*range(0, len(whole) - 300, 29), *range(len(whole) - 300, len(whole), 3)]:
        for flip in (1, 255):
            path = put(store, pair)
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            records = {record.id: record for record in again(store).records()}
            assert all(same(record, records.get(record.id, record)) for record in pair)
            lost += len(records) < 2
    assert len(lines) == lost > 50


def test_one_bad_run_does_not_take_the_others_with_it(store, pair, lines):
    path = put(store, pair)
    members = archive.unpacked(path.read_bytes())
    members["values/loss"] = members["values/loss"] * np.float32([1, 1, 1, 2, 1, 1])
    forged = archive.packed(members, compressed=True)
    path.write_bytes(forged)
    first, second = sorted(pair, key=lambda record: record.id)
    (left,) = again(store).records()
    assert same(first, left)
    assert lines == [
        f"{path.name} was copied to {store.folder / 'set_aside' / path.name}; what cannot be used "
        f"is made anew (run {second.id}: its contents do not fit its digest)"
    ]
    assert (store.folder / "set_aside" / path.name).read_bytes() == forged
    lines.clear()
    assert len(again(store).records()) == 1 and lines == []


def test_a_setting_that_was_added_since_does_not_age_a_record(store, pair, toy, lines):
    packed = {k: v for k, v in pair[0].settings.packed().items() if k != "depth"}
    run_id = run_id_of(packed, "b", "jax")
    told = {"id": run_id, "members": [{"id": run_id, "settings": packed}]}
    store.add([dataclasses.replace(pair[0], manifest={**pair[0].manifest, **told})])
    assert again(store).get(run_id).settings == toy(learning_rate=0.1, seed=3)
    assert lines == []


def test_a_reader_moves_nothing(store, pair, lines):
    path = put(store, pair)
    path.write_bytes(path.read_bytes()[:50])
    reader = Store(store.folder, lines.append)
    assert reader.records() == [] and reader.records() == []
    assert path.exists() and aside(store) == []
    assert len(lines) == 1 and f"{path.name} is left out (BadZipFile" in lines[0]


def test_discard_says_why(store, pair, lines):
    store.add(pair)
    store.add([dataclasses.replace(pair[0], columns={"new": pair[0].columns["loss"]})])
    store.discard(pair[0].id, "a reason")
    for known in (store, again(store)):
        assert known.get(pair[0].id) is None and same(pair[1], known.get(pair[1].id))
    assert len(aside(store)) == 2 and all("(a reason)" in line for line in lines)


def test_a_kill_before_the_rename_leaves_the_old_file(store, pair, monkeypatch):
    path = put(store, pair)
    before = path.read_bytes()

    def killed(self, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            put(store, pair[:1])
    assert path.read_bytes() == before
    assert len(again(store).records()) == 2  # the half-written neighbour is none


def test_half_written_files_are_cleared_by_the_next_writer(tmp_path):
    left = [tmp_path / "runs/jax/abc.npz.123.partial", tmp_path / "ledger.json.9.partial"]
    left[0].parent.mkdir(parents=True)
    for path in left:
        path.write_bytes(b"half")
    with Store(tmp_path).writing():
        assert not any(path.exists() for path in left)


def test_old_records_are_told_in_one_line(tmp_path, lines, pair):
    (tmp_path / "runs").mkdir()
    for name in "ab":
        np.savez(tmp_path / "runs" / f"{name}.npz", manifest=np.array("{}"))
    store = Store(tmp_path, lines.append)
    with store.writing():
        store.add(pair)
        assert len(store.records()) == 2
    assert len(lines) == 1 and "holds 2 records of an earlier version" in lines[0]
    assert folders_of(tmp_path) == [tmp_path]
    assert len(list((tmp_path / "runs").glob("*.npz"))) == 2  # left where they are


def test_stores_are_found_below_a_folder(tmp_path, pair):
    for key in ("one", "two/deep"):
        with (store := Store(tmp_path / key)).writing():
            store.add(pair)
    assert folders_of(tmp_path) == [tmp_path / "one", tmp_path / "two" / "deep"]
    assert folders_of(tmp_path / "one") == [tmp_path / "one"] and folders_of("nowhere") == []


# Files from elsewhere


BAD = {
    "backend": ["/../../../../X", "", "jax/..", 3, None, ["jax"]],
    "experiment": ["../x", "a/b", "", ".hidden", "a" * 101, 5, "a\n", "<b>"],
    "scale": ["..", "a/b", None],
    "build": ["/etc", "a b", {}],
    "runner": ["", 1],
    "stack": ["xyz", "0" * 15, None],
    "versions": [{"keras": 3}, ["keras"], {"keras": "x" * 1000}, None],
    "finished": ["", "yesterday", 20260102, None, "2026-01-02T03:04:05"],
    "seconds": [-1, float("nan"), "1", True, None],
}


@pytest.mark.parametrize(("field", "value"), [(k, v) for k, vs in BAD.items() for v in vs])
def test_a_field_that_is_not_what_it_may_be(store, pair, lines, field, value):
    """With a digest that fits: it was written so."""
    records = [dataclasses.replace(one, manifest={**one.manifest, field: value}) for one in pair]
    path = put(store, records)
    assert again(store).records() == []
    assert len(lines) == 1 and lines[0].startswith(path.name) and "\n" not in lines[0]
    found = {one for one in store.folder.rglob("*") if one.suffix == ".npz"}
    assert found == {store.folder / "set_aside" / path.name}


def test_a_column_with_a_path_for_a_name(store, pair, lines):
    told = dataclasses.replace(pair[0], columns={"a/b": pair[0].columns["loss"]})
    with pytest.raises(ValueError, match="a column must have a short name without '/', got 'a/b'"):
        store.add([told])


def bomb(store, member, size):
    """A file whose table of contents says that a member is that large."""
    path = store.folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("manifest.json", "{}")
        with file.open(member, "w") as entry:
            for _ in range(size >> 20):
                entry.write(bytes(2**20))
    return path


def test_a_file_that_would_inflate_past_all_bounds_is_not_inflated(store, lines, monkeypatch):
    monkeypatch.setattr(archive, "MOST_BYTES", 2**22)
    path = bomb(store, "values/loss.npy", 2**23)
    assert path.stat().st_size < 2**14
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    assert again(store).records() == []
    assert "it would inflate to 8 MiB" in lines[0]


def test_a_file_that_is_too_large_is_not_read(store, lines, monkeypatch):
    monkeypatch.setattr(archive, "MOST_BYTES", 100)
    path = store.folder / FILE
    archive.write_whole(path, bytes(101))
    monkeypatch.setattr(Path, "read_bytes", None)
    assert again(store).records() == []
    assert len(lines) == 1


@pytest.mark.parametrize("shape", [(10**12,), (3, 10**9), (2**62, 4), (2,), ()])
def test_a_header_that_says_more_than_there_is(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    data = archive.packed({"values/loss.npy": buffer.getvalue() + bytes(24)}, compressed=True)
    told = archive.unpacked(data)["values/loss"]
    assert isinstance(told, ValueError) and "its header says" in str(told)


def test_what_could_not_be_read_back_is_not_written(monkeypatch):
    monkeypatch.setattr(archive, "MOST_BYTES", 2**20)
    with pytest.raises(ValueError, match="columns take 2 MiB, and a file may hold 1: watch less"):
        archive.packed({"values/noise": np.zeros(2**18)}, compressed=True)


def test_a_pipe_is_not_waited_for(store, lines):
    (store.folder / FILE).parent.mkdir(parents=True)
    os.mkfifo(store.folder / FILE)
    assert again(store).records() == [] and lines == []


# Weights


WEIGHTS = {"out/kernel": np.arange(6, dtype="float32").reshape(2, 3), "out/bias": np.zeros(3)}


def test_weights_come_back_by_path(store):
    told = store.weights.keep("0" * 16, 7, WEIGHTS)
    assert store.weights.has("0" * 16, 7) and not store.weights.has("0" * 16, 8)
    weights = store.weights.get("0" * 16, 7, told)
    assert list(weights) == list(WEIGHTS)
    for path, array in WEIGHTS.items():
        assert weights[path].dtype == array.dtype and weights[path].tobytes() == array.tobytes()


def test_weights_that_are_not_those_of_the_record(store, lines):
    told = store.weights.keep("0" * 16, 7, WEIGHTS)
    store.weights.keep("0" * 16, 7, {**WEIGHTS, "out/bias": np.ones(3)})
    assert store.weights.get("0" * 16, 7, told) is None
    assert not store.weights.has("0" * 16, 7)
    assert len(lines) == 1 and "its contents do not fit their digest" in lines[0]


# Stacks


def manifest_of(*ids, **change):
    members = [{"id": one, "settings": {}, "watch": {"loss": [0]}, "keep": []} for one in ids]
    told = {k: SHARED[k] for k in ("experiment", "scale", "build", "backend", "runner")}
    return {"stack": stack_states.stack_id(ids), **told, "members": members, **change}


MANIFEST = manifest_of("a" * 16, "b" * 16)
STATE = {"steps_taken": np.asarray(3), "parameters": np.float32([[1, np.nan]])}


def test_a_stack_is_remembered_until_it_is_finished(store):
    store.stacks.begin(MANIFEST)
    assert store.stacks.all() == [MANIFEST]
    assert store.stacks.load(MANIFEST) is None
    store.stacks.save(MANIFEST, STATE)
    store.stacks.save(MANIFEST, {**STATE, "steps_taken": np.asarray(4)})
    state = store.stacks.load(MANIFEST)
    assert set(state) == set(STATE) and state["steps_taken"] == 4
    assert state["parameters"].tobytes() == STATE["parameters"].tobytes()
    store.stacks.finish(MANIFEST["stack"])
    assert store.stacks.all() == [] and store.stacks.load(MANIFEST) is None
    store.stacks.finish(MANIFEST["stack"])  # again, after a kill


def test_a_new_stack_does_not_go_on_from_an_old_checkpoint(store):
    store.stacks.save(MANIFEST, STATE)
    store.stacks.begin(MANIFEST)
    assert store.stacks.load(MANIFEST) is None


@pytest.mark.parametrize(
    "other",
    [
        manifest_of("b" * 16, "a" * 16),
        manifest_of("a" * 16, "b" * 16, build="other"),
        manifest_of("a" * 16, "b" * 16, backend="torch"),
        manifest_of("a" * 16, "b" * 16, runner="other"),
    ],
)
def test_a_checkpoint_is_that_of_one_stack(store, lines, other):
    store.stacks.save(MANIFEST, STATE)
    path = store.folder / "stacks" / f"{MANIFEST['stack']}.npz"
    path.replace(path.with_name(f"{other['stack']}.npz"))
    assert store.stacks.load(other) is None
    assert len(lines) == 1 and "it is of another stack" in lines[0]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"stack": "other"}', "\x00\xff", "[" * 9999]
)
def test_a_broken_manifest_is_moved_aside(store, lines, text):
    store.stacks.begin(MANIFEST)
    path = store.folder / "stacks" / f"{MANIFEST['stack']}.json"
    path.write_text(text)
    assert store.stacks.all() == []
    assert len(lines) == 1 and f"{path.name} was moved to" in lines[0]
    assert aside(store) == [path.name]


@pytest.mark.parametrize("field", MANIFEST)
def test_a_manifest_that_lacks_a_field_is_moved_aside(store, lines, field):
    store.stacks.begin(MANIFEST)
    path = store.folder / "stacks" / f"{MANIFEST['stack']}.json"
    path.write_text(json.dumps({k: v for k, v in MANIFEST.items() if k != field}))
    assert store.stacks.all() == []
    assert len(lines) == 1 and f"it has no '{field}'" in lines[0]


def test_what_finished_stacks_left_is_swept(tmp_path, pair):
    store = Store(tmp_path)
    done = manifest_of(*(record.id for record in pair))
    with store.writing():
        store.add(pair)
        for manifest in (done, MANIFEST):
            store.stacks.begin(manifest)
            store.stacks.save(manifest, STATE)
    store.stacks.save(manifest_of("c" * 16), STATE)  # its manifest is gone
    with store.writing():
        kept = sorted(path.name for path in (tmp_path / "stacks").iterdir())
    assert kept == [f"{MANIFEST['stack']}.json", f"{MANIFEST['stack']}.npz"]


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
