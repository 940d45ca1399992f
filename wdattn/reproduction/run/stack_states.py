"""Stacks that are being trained: what each is made of, and its newest checkpoint."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wdattn.reproduction.run import archive, fields, integrity
from wdattn.reproduction.run.integrity import Misfit

Manifest = dict[str, Any]


def stack_id(ids: Sequence[str]) -> str:
    """The name of the stack of these runs, in this order."""
    return integrity.digest_of("".join(ids).encode())


def identity(manifest: Mapping[str, Any]) -> str:
    """Names all that a checkpoint of the stack hangs on: members in order, watch, build, runner."""
    text = json.dumps(manifest, sort_keys=True)
    return integrity.digest_of(text.encode())


class StackStates:
    """`<stack>.json`, written before the first step, and `<stack>.npz`, the newest checkpoint.

    A checkpoint carries the identity of its stack and a digest of its arrays.

    Args:
        folder: of one store.
        spoiled: called with a path and the reason when a file is not what it should be; expected
            to move it out of the way.
    """

    def __init__(self, folder: Path, spoiled: Callable[[Path, str], None]):
        self._folder, self._spoiled = folder, spoiled

    def begin(self, manifest: Manifest) -> None:
        """Writes what is needed to resume the stack; a checkpoint of its name goes."""
        self._path(manifest["stack"], "npz").unlink(missing_ok=True)
        text = json.dumps(manifest, indent=1, sort_keys=True)
        archive.write_whole(self._path(manifest["stack"], "json"), text.encode())

    def all(self) -> list[Manifest]:
        """The stacks that are not finished."""
        manifests = []
        for path in sorted(self._folder.glob("*.json")):
            if (data := archive.read_bytes(path)) is None:
                continue
            try:
                manifests.append(_checked(fields.parsed(data), path.stem))
            except Misfit as error:
                self._spoiled(path, str(error))
        return manifests

    def save(self, manifest: Manifest, arrays: Mapping[str, np.ndarray]) -> None:
        """Replaces the stack's checkpoint."""
        whole = {**arrays, "identity": np.array(identity(manifest))}
        told = {"digest": np.array(integrity.digest(whole))}
        data = archive.packed({**whole, **told}, compressed=False)
        archive.write_whole(self._path(manifest["stack"], "npz"), data)

    def load(self, manifest: Manifest) -> dict[str, np.ndarray] | None:
        """The stack's newest checkpoint, or None."""
        path = self._path(manifest["stack"], "npz")
        if (data := archive.read_bytes(path)) is None:
            return None
        try:
            return _state(archive.arrays(data), identity(manifest))
        except Misfit as error:
            self._spoiled(path, str(error))
            return None

    def refuse(self, manifest: Manifest, why: str) -> None:
        """Has the checkpoint moved out of the way, since the stack cannot go on from it."""
        self._spoiled(self._path(manifest["stack"], "npz"), why)

    def finish(self, name: str) -> None:
        """Removes what a stack needed while it was trained."""
        for kind in ("json", "npz"):  # the manifest first: without it nothing is resumed
            self._path(name, kind).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Removes checkpoints without a manifest, which a kill while a stack was finished left."""
        for path in self._folder.glob("*.npz"):
            if not path.with_suffix(".json").exists():
                path.unlink()

    def _path(self, name: str, kind: str) -> Path:
        return self._folder / f"{name}.{kind}"


def _state(members: dict[str, np.ndarray], expected: str) -> dict[str, np.ndarray]:
    told, own = str(members.pop("digest", "")), str(members.get("identity", ""))
    if own != expected:
        raise Misfit("it is of another stack")
    if told != integrity.digest(members):
        raise Misfit("its contents do not fit its digest")
    del members["identity"]
    return members


def _checked(manifest: Manifest, name: str) -> Manifest:
    """The manifest, if it has every field and is the one of that stack."""
    fields.name("experiment", fields.taken("experiment", manifest))
    fields.name("scale", fields.taken("scale", manifest))
    fields.name("build", fields.taken("build", manifest))
    fields.backend(fields.taken("backend", manifest))
    fields.name("runner", fields.taken("runner", manifest))
    members = fields.rows("members", fields.taken("members", manifest))
    for member in members:
        fields.run_id("id", fields.taken("id", fields.table("member", member)))
        fields.table("settings", fields.taken("settings", member))
        for steps in fields.table("watch", fields.taken("watch", member)).values():
            fields.iterates(steps)
        fields.iterates(fields.taken("keep", member))
    expected = stack_id([member["id"] for member in members])
    if not fields.taken("stack", manifest) == name == expected:
        raise Misfit(f"its members are those of stack {expected}")
    return manifest
