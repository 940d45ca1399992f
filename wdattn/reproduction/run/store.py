"""The folder in which runs are kept: finished records, stacks under way, weights, one writer."""

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import filelock

from wdattn.reproduction.design.record import Record
from wdattn.reproduction.run import archive, integrity, record_file
from wdattn.reproduction.run.archive import write_whole
from wdattn.reproduction.run.cells import Cells
from wdattn.reproduction.run.integrity import Misfit
from wdattn.reproduction.run.kept_weights import KeptWeights
from wdattn.reproduction.run.stack_states import StackStates


class StoreBusy(RuntimeError):
    """Another process writes to this store."""


class Store:
    """Records of one paper under `folder`.

    - `runs/<backend>/<experiment>-<scale>-<build>.npz`: finished runs, without their weights. Until
      the end of a call each finished stack is a file of its own, with a `+` and a digest in its
      name; then they are put together. So a stack costs no more to add when there are 1500 runs,
      and there is one file for git.
    - `stacks/`: the stacks under way, and their checkpoints; gone when they are finished.
    - `weights/`: weights that other runs start from.
    - `set_aside/`: files that were not what they should be, moved there by the process that holds
      the store; a mere reader only reports them.

    Files are written whole and then renamed, so a kill leaves the old one or the new one. A run
    may be in two files, as a kill while they are put together leaves it: its columns are those of
    both.

    Args:
        folder: made by the first writer.
        report: called with one line for each file that cannot be used.
    """

    def __init__(self, folder, report: Callable[[str], None] = lambda line: None):
        self.folder = Path(folder)
        self.report = report
        self.stacks = StackStates(self.folder / "stacks", self.set_aside)
        self.weights = KeptWeights(self.folder / "weights", self.set_aside)
        self._held = False
        self._files: dict[Path, list[Record]] | None = None
        self._known: dict[str, Record] = {}

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
            self._held, self._files = True, None
            self._sweep()
            yield
            self._put_together()
        finally:
            self._held = False
            holder.unlink(missing_ok=True)
            lock.release()

    # Finished runs

    def add(self, records: Sequence[Record]) -> None:
        """Writes finished runs of one stack, or further columns of such runs.

        Args:
            records: with the manifest that `record_file.pack` asks for.
        """
        files = self._all()
        data = record_file.pack(records)
        path = self._path(records[0], f"+{integrity.digest_of(data)}")
        write_whole(path, data)
        files[path] = list(records)
        self._learn(path, records)

    def get(self, run_id: str) -> Record | None:
        """The finished run of that id, or None."""
        self._all()
        return self._known.get(run_id)

    def records(self) -> list[Record]:
        """Every finished run, by id."""
        self._all()
        return [self._known[run_id] for run_id in sorted(self._known)]

    def discard(self, run_id: str, why: str) -> None:
        """Takes a finished run out, so that it is made anew; what is taken out is set aside."""
        for path, records in list(self._all().items()):
            gone = [record for record in records if record.manifest["id"] == run_id]
            if gone:
                aside = archive.free_name(self.folder / "set_aside" / f"{run_id}.npz")
                write_whole(aside, record_file.pack(gone))
                self._rewrite(path, [record for record in records if record not in gone])
                self.report(f"run {run_id} was moved to {aside} and is made anew ({why})")
        self._known.pop(run_id, None)

    def set_aside(self, path: Path, why: str) -> None:
        """Moves a file out of the way and reports it; a mere reader of the store only reports."""
        if not self._held:
            self.report(f"{path.name} is left out ({why})")
            return
        target = archive.move_aside(path, self.folder / "set_aside")
        self.report(f"{path.name} was moved to {target} and is made anew ({why})")

    def _all(self) -> dict[Path, list[Record]]:
        """File to the records in it; read once."""
        while self._files is None:
            self._files, self._known = {}, {}
            for path in self._paths():
                if (records := self._read(path)) is None:  # put together since it was listed
                    self._files = None
                    break
                self._files[path] = records
                self._learn(path, records)
            else:
                self._tell_of_old_ones()
        return self._files

    def _paths(self) -> list[Path]:
        """The files of records; those that were put together come first."""
        files = [path for path in self.folder.glob("runs/*/*.npz") if path.is_file()]
        return sorted(files, key=lambda path: ("+" in path.name, path))

    def _read(self, path: Path) -> list[Record] | None:
        """The records of a file that are what they say they are; None if the file has gone."""
        try:
            if (data := archive.read_bytes(path, archive.MOST_BYTES)) is None:
                return None
            contents = record_file.unpack(data)
        except Misfit as error:
            self.set_aside(path, str(error))
            return []
        if contents.faults:
            first, *more = contents.faults
            why = first + (f", and {len(more)} more runs" if more else "")
            if not (self._held and contents.records):
                self.set_aside(path, why)
            else:
                aside = archive.free_name(self.folder / "set_aside" / path.name)
                write_whole(aside, data)
                write_whole(path, record_file.pack(contents.records))
                self.report(f"{path.name} was copied to {aside}; what cannot be used is made anew "
                            f"({why})")  # fmt: skip
        return contents.records

    def _rewrite(self, path: Path, records: list[Record]) -> None:
        """Leaves these records in the file; none leave no file."""
        if records:
            write_whole(path, record_file.pack(records))
        else:
            path.unlink(missing_ok=True)
        if self._files is not None:
            self._files[path] = records

    def _learn(self, path: Path, records: Iterable[Record]) -> None:
        """Puts what is known of a run together."""
        for record in records:
            run_id = record.manifest["id"]
            known = self._known.get(run_id)
            if known is None:
                self._known[run_id] = record
            elif known.manifest["weights"] == record.manifest["weights"]:
                self._known[run_id] = _merged(known, record)
            else:
                self.report(f"run {run_id} is left out of {path.name}, since another file has it "
                            "with other weights")  # fmt: skip

    def _put_together(self) -> None:
        """Leaves one file for the records of each backend, experiment, scale and build."""
        together: dict[Path, set[Path]] = defaultdict(set)
        for path, records in self._all().items():
            for record in records:
                together[self._path(record)].add(path)
        for target, sources in together.items():
            if sources == {target}:
                continue
            own = [record for record in self.records() if self._path(record) == target]
            try:
                write_whole(target, record_file.pack(own))
            except ValueError:  # too large for one file
                continue
            for path in sources - together.keys():
                path.unlink(missing_ok=True)
        self._files = None

    def _path(self, record: Record, suffix: str = "") -> Path:
        told = record.manifest
        name = "-".join(told[field] for field in ("experiment", "scale", "build"))
        return self.folder / "runs" / told["backend"] / f"{name}{suffix}.npz"

    # Leftovers

    def _sweep(self) -> None:
        """Removes what killed calls left: files half written, and the state of finished stacks."""
        for partial in self.folder.glob("**/*.partial"):
            partial.unlink()
        self.stacks.sweep()
        for manifest in self.stacks.all():
            if all(self.get(member["id"]) is not None for member in manifest["members"]):
                self.stacks.finish(manifest["stack"])

    def _tell_of_old_ones(self) -> None:
        if old := sum(1 for _ in self.folder.glob("runs/*.npz")):
            self.report(
                f"{self.folder / 'runs'} holds {old} records of an earlier version, one file for "
                "each run, which are not read: what is asked for is made anew, and they can go"
            )


def folders_of(folder) -> list[Path]:
    """The stores below a folder, itself included."""
    found = [*Path(folder).glob("**/runs/*/*.npz"), *Path(folder).glob("**/runs/*.npz")]
    parents = [path.parent if path.parent.name == "runs" else path.parents[1] for path in found]
    return sorted({runs.parent for runs in parents})


def _merged(one: Record, other: Record) -> Record:
    """The columns and kept weights of both."""
    cells = Cells()
    cells.extend(0, one.columns)
    cells.extend(0, other.columns)
    kept = {**one.manifest["kept"], **other.manifest["kept"]}
    return replace(one, columns=cells.columns(0), manifest={**one.manifest, "kept": kept})
