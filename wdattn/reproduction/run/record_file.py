"""Records of one or more stacks as one file: what they share is written once, columns together.

`manifest.json` names the stacks (how each was made, once), the settings of their members, and for
each run its columns' iterates and shapes and two digests: of its last weights, and of all that is
told of it. `values/<column>` holds the cells of all runs, one run behind the other.
"""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.settings import Settings, run_id_of
from wdattn.reproduction.run import archive, fields, integrity
from wdattn.reproduction.run.integrity import Misfit

FORMAT = 2
"""Format 1 was one file for each run, with its weights; it is told and not read."""

STACK_FIELDS = {
    "stack": lambda value: fields.run_id("stack", value),
    "experiment": lambda value: fields.name("experiment", value),
    "scale": lambda value: fields.name("scale", value),
    "build": lambda value: fields.name("build", value),
    "backend": fields.backend,
    "runner": lambda value: fields.name("runner", value),
    "versions": fields.versions,
    "seconds": fields.seconds,
    "finished": fields.date,
}
"""What is told of a stack, once, and what it may be."""


@dataclass(frozen=True)
class Contents:
    """What a file of records held.

    Args:
        records: those that are what they say they are.
        faults: a few words on each of the others.
    """

    records: list[Record]
    faults: list[str]


def pack(records: Sequence[Record]) -> bytes:
    """The records as one file.

    Args:
        records: each has in its manifest the `STACK_FIELDS`, `id`, `members` (the `id` and packed
            `settings` of every run of its stack), `weights` (the digest of its last weights) and
            `kept` (iterate to digest, of weights that are kept).
    """
    stacks: list[dict[str, Any]] = []
    settings: dict[str, Any] = {}
    times: dict[tuple[int, ...], int] = {}
    values: dict[str, list[np.ndarray]] = defaultdict(list)
    runs = []
    for record in sorted(records, key=lambda one: one.manifest["id"]):
        stack = _stack(record.manifest)
        if stack not in stacks:
            stacks.append(stack)
        settings |= {one["id"]: one["settings"] for one in record.manifest["members"]}
        columns = {}
        for name in sorted(record.columns):
            steps, cells = record.columns[fields.column(name)]
            place = times.setdefault(tuple(map(int, steps)), len(times))
            columns[name] = {"times": place, "shape": list(cells.shape[1:])}
            values[name].append(np.ravel(cells).astype("float64"))
        runs.append(
            {
                "id": record.manifest["id"],
                "stack": stacks.index(stack),
                "weights": record.manifest["weights"],
                "kept": {str(k): v for k, v in sorted(record.manifest["kept"].items())},
                "columns": columns,
                "digest": _digest(record),
            }
        )
    manifest = {
        "format": FORMAT,
        "stacks": stacks,
        "settings": settings,
        "times": [list(steps) for steps in times],
        "runs": runs,
    }
    arrays = {f"values/{name}": _narrow(np.concatenate(parts)) for name, parts in values.items()}
    text = json.dumps(manifest, sort_keys=True, indent=0).encode()
    return archive.packed({"manifest.json": text, **arrays}, compressed=True)


def unpack(data: bytes) -> Contents:
    """The records of a file, each held to its digest.

    Raises:
        Misfit: if nothing of it can be used.
    """
    members = archive.unpacked(data)
    text = fields.taken("manifest.json", members)
    if not isinstance(text, bytes):
        raise Misfit(str(text))
    manifest = fields.parsed(text)
    if manifest.get("format") != FORMAT:
        raise Misfit("it is of another format")
    reader = _Reader(manifest, members)
    return Contents(*reader.read())


class _Reader:
    """Takes the runs of a file one by one, with the cells that follow those of the run before."""

    def __init__(self, manifest, members):
        self.runs = fields.rows("runs", fields.taken("runs", manifest))
        self.times = fields.rows("times", fields.taken("times", manifest))
        self.settings = fields.table("settings", fields.taken("settings", manifest))
        self.stacks = fields.rows("stacks", fields.taken("stacks", manifest))
        self.members, self.begun = members, defaultdict(int)
        self._told: dict[int, dict[str, Any]] = {}

    def read(self) -> tuple[list[Record], list[str]]:
        records, faults, ids = [], [], set()
        for place, run in enumerate(self.runs):
            told = f"run {place + 1} of {len(self.runs)}"
            try:
                run = fields.table("run", run)
                cells = self._cells(run)  # first: it says where the next run's cells begin
                told = f"run {fields.run_id('id', fields.taken('id', run))}"
                record = self._record(run, cells)
                if run["id"] in ids:
                    raise Misfit("it is there twice")
            except Misfit as error:
                faults.append(f"{told}: {error}")
            except (LookupError, TypeError, ValueError) as error:  # of settings that are no more
                faults.append(f"{told}: {type(error).__name__}: {error}")
            else:
                ids.add(run["id"])
                records.append(record)
        return records, faults

    def _cells(self, run):
        """Column to its iterates, shape and first cell."""
        cells = {}
        for name, told in fields.table("columns", fields.taken("columns", run)).items():
            place = fields.taken("times", fields.table("column", told))
            if type(place) is not int or not 0 <= place < len(self.times):
                raise Misfit(f"the iterates of {fields.column(name)!r} are not there")
            steps = fields.iterates(self.times[place])
            shape = len(steps), *fields.sizes(fields.taken("shape", told))
            begin = self.begun[name]
            self.begun[name] += math.prod(shape)
            cells[fields.column(name)] = steps, shape, begin
        return cells

    def _record(self, run, cells):
        columns = {}
        for name, (steps, shape, begin) in cells.items():
            values = fields.taken(f"values/{name}", self.members)
            if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
                raise Misfit(f"column {name!r} cannot be read: {values}")
            own = values.ravel()[begin : begin + math.prod(shape)]
            if own.size != math.prod(shape):
                raise Misfit(f"column {name!r} is too short")
            columns[name] = np.array(steps, "int64"), own.astype("float64").reshape(shape)
        kept = fields.table("kept", fields.taken("kept", run))
        manifest = {
            **self._stack_of(run),
            "id": run["id"],
            "weights": fields.run_id("weights", fields.taken("weights", run)),
            "kept": {int(step): fields.run_id("kept", told) for step, told in kept.items()},
        }
        packed = fields.table("settings", fields.taken(run["id"], self.settings))
        record = Record(Settings.unpacked(packed), columns, manifest)
        # From the stored values: a setting that was added since does not make it another run.
        expected = run_id_of(packed, manifest["build"], manifest["backend"])
        if run["id"] != expected:
            raise Misfit(f"its settings are those of run {expected}")
        if fields.taken("digest", run) != _digest(record):
            raise Misfit("its contents do not fit its digest")
        return record

    def _stack_of(self, run):
        place = fields.taken("stack", run)
        if type(place) is not int or not 0 <= place < len(self.stacks):
            raise Misfit("its stack is not there")
        if place not in self._told:
            stack = fields.table("stack", self.stacks[place])
            told = {name: check(fields.taken(name, stack)) for name, check in STACK_FIELDS.items()}
            ids = fields.rows("members", fields.taken("members", stack))
            told["members"] = [
                {"id": fields.run_id("member", one), "settings": fields.taken(one, self.settings)}
                for one in ids
            ]
            self._told[place] = told
        return self._told[place]


def _stack(manifest: Mapping[str, Any]) -> dict[str, Any]:
    shared = {name: manifest[name] for name in STACK_FIELDS}
    return {**shared, "members": [one["id"] for one in manifest["members"]]}


def _digest(record: Record) -> str:
    """Of all that is told of a run: its columns, how it was made, and its weights' digests."""
    arrays = {}
    for name, (steps, values) in record.columns.items():
        arrays[f"steps/{name}"] = np.asarray(steps, "int64")
        arrays[f"values/{name}"] = np.asarray(values, "float64")
    told = {name: record.manifest[name] for name in ("id", "weights", "kept")}
    text = json.dumps([_stack(record.manifest), told], sort_keys=True)
    return integrity.digest({**arrays, "told": np.frombuffer(text.encode(), "uint8")})


def _narrow(values: np.ndarray) -> np.ndarray:
    """In float32 where that loses nothing, as with a loss that was computed in it."""
    with np.errstate(all="ignore"):
        narrow = values.astype("float32")
    return narrow if np.array_equal(narrow.astype("float64"), values, equal_nan=True) else values
