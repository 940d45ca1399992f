"""The folder in which runs are kept: finished records, checkpoints of stacks, one writer."""

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.settings import Settings, run_id_of


class StoreBusy(RuntimeError):
    """Another process writes to this store."""


class Store:
    """Records of one paper under `folder`.

    `runs/<id>.npz` holds a finished run: its manifest, its columns and its last weights.
    `stacks/<id>.json` names the runs that are trained together, `stacks/<id>.npz` is their newest
    checkpoint; both go once every run of the stack has its record. Files are written whole and
    then renamed, so a kill leaves the old one or the new one. A file that cannot be read, or whose
    contents do not give the name it has, is reported and, by the process that holds the store,
    moved to `set_aside/`.

    Args:
        folder: made if it does not exist.
        report: called with one line for each file that cannot be used.
    """

    def __init__(self, folder, report: Callable[[str], None] = lambda line: None):
        self.folder = Path(folder)
        self.report = report
        self._held = False

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the store; raises StoreBusy, naming the holder, if another process does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.folder / ".lock")
        holder = self.folder / ".holder"
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            name = holder.read_text() if holder.exists() else "another process"
            raise StoreBusy(f"{self.folder} is being written by {name}") from None
        try:
            holder.write_text(f"process {os.getpid()}")
            self._held = True
            for partial in self.folder.glob("*/*.partial"):  # what a kill left half written
                partial.unlink()
            yield
        finally:
            self._held = False
            holder.unlink(missing_ok=True)
            lock.release()

    # Finished runs

    def save(self, run_id: str, record: Record) -> None:
        """Writes a finished run."""
        write_whole(self._run(run_id), _pack(run_id, record))

    def get(self, run_id: str) -> Record | None:
        """The finished run of that id, or None; an unreadable one is moved aside."""
        return self._read(self._run(run_id), lambda path: _unpack(run_id, path))

    def records(self) -> list[Record]:
        """Every finished run, by id."""
        ids = sorted(path.stem for path in (self.folder / "runs").glob("*.npz"))
        return [record for run_id in ids if (record := self.get(run_id)) is not None]

    def discard(self, run_id: str, why: str) -> None:
        """Moves a finished run aside, so that it is made anew."""
        self.set_aside(self._run(run_id), why)

    # Stacks

    def begin(self, stack_id: str, manifest: Mapping[str, Any]) -> None:
        """Writes what is needed to resume the stack; done before its first step."""
        self._stack(stack_id, "npz").unlink(missing_ok=True)  # of a manifest that was lost
        text = json.dumps({"stack": stack_id, **manifest}, indent=1)
        write_whole(self._stack(stack_id, "json"), text.encode())

    def stacks(self) -> dict[str, dict[str, Any]]:
        """Unfinished stacks: id to manifest."""
        paths = sorted((self.folder / "stacks").glob("*.json"))
        found = {path.stem: self._read(path, _manifest) for path in paths}
        return {stack_id: manifest for stack_id, manifest in found.items() if manifest is not None}

    def checkpoint(self, stack_id: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Replaces the stack's checkpoint."""
        write_whole(self._stack(stack_id, "npz"), _npz(arrays))

    def resume(self, stack_id: str) -> dict[str, np.ndarray] | None:
        """The stack's newest checkpoint, or None."""
        return self._read(self._stack(stack_id, "npz"), _arrays)

    def finish(self, stack_id: str) -> None:
        """Removes what a stack needed while it ran."""
        for kind in ("json", "npz"):  # the manifest first: without it nothing is resumed
            self._stack(stack_id, kind).unlink(missing_ok=True)

    def set_aside(self, path: Path, why: str) -> None:
        """Moves a file out of the way and reports it; a mere reader of the store only reports."""
        if not self._held:
            self.report(f"{path.name} is left out ({why})")
            return
        target = self.folder / "set_aside" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        self.report(f"{path.name} was moved to {target.parent} and is made anew ({why})")

    def _read(self, path: Path, read: Callable[[Path], Any]) -> Any:
        """What `read` makes of the file, or None; one that it cannot read is set aside."""
        if not path.exists():
            return None
        try:
            return read(path)
        except Exception as error:  # a flipped bit can raise nearly anything
            self.set_aside(path, f"{type(error).__name__}: {error}")
            return None

    def _run(self, run_id: str) -> Path:
        return self.folder / "runs" / f"{run_id}.npz"

    def _stack(self, stack_id: str, kind: str) -> Path:
        return self.folder / "stacks" / f"{stack_id}.{kind}"


def _pack(run_id, record):
    manifest = {
        **record.manifest,
        "id": run_id,
        "settings": record.settings.packed(),
    }
    arrays = {"manifest": np.array(json.dumps(manifest, sort_keys=True))}
    for name, (steps, values) in record.columns.items():
        arrays[f"steps/{name}"], arrays[f"values/{name}"] = steps, values
    arrays |= {f"weights/{i:04d}": weight for i, weight in enumerate(record.weights)}
    return _npz(arrays)


def _unpack(run_id, path):
    arrays = _arrays(path)
    manifest = json.loads(str(arrays["manifest"]))
    packed = manifest.pop("settings")
    # From the stored values: a setting that was added since then does not make it another run.
    expected = run_id_of(packed, manifest["build"], manifest["backend"])
    if not run_id == manifest["id"] == expected:
        raise ValueError(f"its contents are those of run {expected}")
    names = [key.removeprefix("steps/") for key in arrays if key.startswith("steps/")]
    columns = {name: (arrays[f"steps/{name}"], arrays[f"values/{name}"]) for name in names}
    weights = tuple(arrays[key] for key in sorted(arrays) if key.startswith("weights/"))
    return Record(Settings.unpacked(packed), columns, manifest, weights)


def _manifest(path):
    manifest = json.loads(path.read_text())
    if manifest["stack"] != path.stem:
        raise ValueError(f"it says it is stack {manifest['stack']}")
    return manifest


def _arrays(path):
    # From memory: np.load leaves a broken file open, and an open file cannot be moved everywhere.
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
        arrays = dict(file)
    # A broken table of contents can lose an array without an error.
    if sorted(arrays) != arrays.pop("names").tolist():
        raise ValueError("not every array is there")
    return arrays


def _npz(arrays: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, names=np.array(sorted([*arrays, "names"])), **arrays)
    return buffer.getvalue()


def write_whole(path: Path, data: bytes) -> None:
    """Writes all of it or nothing: to a neighbour, to disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
