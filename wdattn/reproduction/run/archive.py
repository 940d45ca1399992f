"""Arrays in one file: written whole, read within bounds, named by a digest of their contents.

A file may come from elsewhere: what it says of its sizes is checked before anything is inflated.
"""

import io
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from wdattn.reproduction.run.integrity import Misfit

MOST_BYTES = 2**28
"""The most that a compressed file may inflate to; a file without compression may be larger."""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member, so that equal contents are equal files


def packed(members: Mapping[str, np.ndarray | bytes], *, compressed: bool) -> bytes:
    """A zip file of arrays, which `np.load` reads, and of bytes as they are.

    Args:
        members: name to array or bytes.
        compressed: whether to spend time on it: for what is kept in git.

    Raises:
        ValueError: if it could not be read back, being larger than `MOST_BYTES`.
    """
    buffer, method = io.BytesIO(), zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    total = 0
    with zipfile.ZipFile(buffer, "w", method, compresslevel=9) as file:
        for name, content in members.items():
            if isinstance(content, np.ndarray):
                name, content = f"{name}.npy", _npy(content)
            total += len(content)
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = method
            file.writestr(info, content, compresslevel=9)
    if compressed and total > MOST_BYTES:
        raise ValueError(
            f"a stack's columns take {total >> 20} MiB, and a file may hold {MOST_BYTES >> 20}: "
            "watch less, or less often"
        )
    return buffer.getvalue()


def unpacked(data: bytes) -> dict[str, "np.ndarray | bytes | Misfit"]:
    """What `packed` was given; in place of a member that cannot be read, a `Misfit` that says why.

    Raises:
        Misfit: if it is not a zip file, or says that it inflates to more than it may.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            infos = file.infolist()
            total = sum(info.file_size for info in infos)
            if total > max(MOST_BYTES, len(data)):
                raise Misfit(f"it would inflate to {total >> 20} MiB")
            return {info.filename.removesuffix(".npy"): _member(file, info) for info in infos}
    except Misfit:
        raise
    except Exception as error:  # a flipped bit can raise nearly anything
        raise Misfit(f"{type(error).__name__}: {error}") from None


def arrays(data: bytes) -> dict[str, np.ndarray]:
    """The arrays that `packed` was given.

    Raises:
        Misfit: if one of them cannot be read, or there is something else.
    """
    members: dict[str, np.ndarray] = {}
    for name, array in unpacked(data).items():
        if not isinstance(array, np.ndarray):
            raise array if isinstance(array, Misfit) else Misfit(f"{name} is no array")
        members[name] = array
    return members


def _member(file, info):
    try:
        content = file.read(info)
        return _array(content) if info.filename.endswith(".npy") else content
    except Exception as error:
        return Misfit(f"{info.filename}: {type(error).__name__}: {error}")


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _array(content: bytes) -> np.ndarray:
    buffer = io.BytesIO(content)
    version = np.lib.format.read_magic(buffer)
    if version != (1, 0):
        raise Misfit(f"its header is of version {version}")
    shape, _, dtype = np.lib.format.read_array_header_1_0(buffer, max_header_size=10_000)
    # Before NumPy makes room for what the header says.
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - buffer.tell():
        raise Misfit(f"its header says {dtype} {shape}, which it does not hold")
    buffer.seek(0)
    return np.lib.format.read_array(buffer, allow_pickle=False)


def write_whole(path: Path, data: bytes) -> None:
    """Writes all of it or nothing: to a neighbour, to disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_bytes(path: Path, most: float = math.inf) -> bytes | None:
    """The contents of a regular file, or None if there is none.

    Raises:
        Misfit: if it has more than `most` bytes.
    """
    try:
        if not path.is_file():  # a pipe would never end
            return None
        if (size := path.stat().st_size) > most:
            raise Misfit(f"it has {size >> 20} MiB")
        return path.read_bytes()
    except FileNotFoundError:  # since then
        return None


def move_aside(path: Path, folder: Path) -> Path:
    """Moves a file into a folder, under a name that overwrites nothing, and gives that."""
    target = free_name(folder / path.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    return target


def free_name(path: Path) -> Path:
    """The path, or if it is taken, one with a number in its name that is free."""
    target, count = path, 1
    while target.exists():
        count += 1
        target = path.with_name(f"{path.stem}-{count}{path.suffix}")
    return target
