"""Reads single tensors out of safetensors files, of any size, with NumPy alone."""

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_LONGEST_HEADER = 100_000_000  # bytes, as the format has it
INDEX = ".safetensors.index.json"


class Safetensors(Mapping[str, np.ndarray]):
    """The tensors of a safetensors file by name, each read when it is asked for.

    The file is mapped into memory for as long as one tensor takes to be copied, so that what is
    in memory is what the caller keeps.

    Args:
        path: of a `.safetensors` file, or of the `.safetensors.index.json` of a model that is
            spread over several.

    Raises:
        ValueError: if the file, or one that the index names, is not in the format.
        OSError: if a file cannot be read.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._entries: dict[str, tuple[Path, str, list[int], int, int]] = {}
        for part, wanted in _parts(self.path):
            entries = _header(part)
            if wanted is not None:
                if missing := sorted(wanted - entries.keys()):
                    raise ValueError(f"{part} must hold {missing[0]!r}, as {self.path} says")
                entries = {name: entries[name] for name in wanted}
            self._entries |= entries

    def __getitem__(self, name: str) -> np.ndarray:
        """A tensor as float64.

        Raises:
            KeyError: if there is no tensor of that name.
            ValueError: if its type is none of F64, F32, F16, BF16.
        """
        path, kind, shape, start, stop = self._entries[name]
        if kind not in _TYPES:
            raise ValueError(f"{name!r} must be one of {', '.join(_TYPES)}, got {kind} in {path}")
        stored = np.dtype(_TYPES[kind])
        count = int(np.prod(shape, dtype="int64"))
        if count * stored.itemsize != stop - start:
            raise ValueError(
                f"{name!r} must have {count} numbers of {kind}, got {stop - start} bytes"
            )
        if not count:
            return np.zeros(shape)
        values: np.ndarray = np.memmap(path, stored, "r", offset=start, shape=(count,))
        if kind == "BF16":  # the upper half of a float32
            values = (np.array(values, "<u4") << 16).view("<f4")
        return np.array(values, "float64").reshape(shape)

    def __contains__(self, name: object) -> bool:
        return name in self._entries  # the one of `Mapping` would read the tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, without reading it."""
        return tuple(self._entries[name][2])


def is_safetensors(path: str | Path) -> bool:
    """Whether a path is named like a safetensors file or the index of several.

    Args:
        path: str or path; it need not exist.

    Returns:
        bool.
    """
    return str(path).endswith((".safetensors", INDEX))


def _parts(path: Path) -> list[tuple[Path, set[str] | None]]:
    """The files to read and which of their tensors; None for all."""
    if not path.name.endswith(INDEX):
        return [(path, None)]
    try:
        places = json.loads(path.read_text("utf-8"))["weight_map"].items()
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} must be an index with a `weight_map`, got {error!r}") from None
    parts: dict[Path, set[str] | None] = {}
    for name, file in places:
        names = parts.setdefault(path.parent / file, set())
        if names is not None:
            names.add(name)
    return list(parts.items())


def _header(path: Path) -> dict[str, tuple[Path, str, list[int], int, int]]:
    """Of each tensor: file, type, shape, first byte and the byte after the last one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else size
        if length > min(size - 8, _LONGEST_HEADER):
            raise ValueError(f"{path} must be a whole safetensors file, got a header of {length} "
                             f"bytes in a file of {size}")  # fmt: skip
        text = file.read(length)
    try:
        header: dict[str, Any] = json.loads(text)
        header.pop("__metadata__", None)
        entries = {
            name: (path, entry["dtype"], entry["shape"], *_place(entry["data_offsets"], length))
            for name, entry in header.items()
        }
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{path} must be a safetensors file, got {error!r} in its header"
        ) from None
    for name, (*_, start, stop) in entries.items():
        if not 8 + length <= start <= stop <= size:
            raise ValueError(f"{path} must hold {name!r} whole, got {size} bytes of {stop}")
    return entries


def _place(offsets: list[int], length: int) -> tuple[int, int]:
    start, stop = offsets
    return 8 + length + start, 8 + length + stop
