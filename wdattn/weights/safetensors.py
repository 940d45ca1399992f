"""Reads single tensors out of safetensors files, of any size, with NumPy alone."""

import math
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeGuard

import numpy as np

from wdattn import arguments
from wdattn.weights.plain_files import LONGEST_JSON, open_plain, parse_json, read_json

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
# Other types of the format, which are not read; a type that is not known here has an unknown size.
_OTHER_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
    **dict.fromkeys(("U16", "I16"), 2),
    **dict.fromkeys(("U32", "I32"), 4),
    **dict.fromkeys(("U64", "I64", "C64"), 8),
}
_BYTES = _OTHER_BYTES | {name: np.dtype(stored).itemsize for name, stored in _TYPES.items()}
_LONGEST_NAME, _MOST_AXES, _LARGEST = 1000, 32, 2**60
INDEX = ".safetensors.index.json"


@dataclass(frozen=True)
class _Tensor:
    """Where a tensor lies: its file, type and shape, its first byte and the byte after its last."""

    path: Path
    kind: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Safetensors(Mapping[str, np.ndarray]):
    """The tensors of a safetensors file by name, each read when it is asked for.

    The file is mapped into memory for as long as one tensor takes to be copied, so that what is
    in memory is what the caller keeps.

    Args:
        path: of a `.safetensors` file, or of the `.safetensors.index.json` of a model that is
            spread over several, which lie in the folder of the index.

    Raises:
        ValueError: if the file, or one that the index names, is not in the format: each byte
            belongs to one tensor, the header has at most 16 MB, and a name 1000 characters.
        OSError: if a file cannot be read.
    """

    def __init__(self, path: str | Path):
        self.path = arguments.path("path", path)
        self._tensors: dict[str, _Tensor] = {}
        if not self.path.name.endswith(INDEX):
            self._tensors = _header(self.path)
            return
        for part, wanted in _parts(self.path).items():
            tensors = _header(part)
            if missing := sorted(wanted - tensors.keys()):
                raise ValueError(f"{part} must hold {missing[0]!r}, as {self.path} says")
            self._tensors |= {name: tensors[name] for name in wanted}

    def __getitem__(self, name: str) -> np.ndarray:
        """A tensor as float64.

        Raises:
            KeyError: if there is no tensor of that name.
            ValueError: if its type is none of F64, F32, F16, BF16.
        """
        tensor = self._tensors[name]
        if tensor.kind not in _TYPES:
            raise ValueError(
                f"{name!r} must be one of {', '.join(_TYPES)}, got {tensor.kind!r} in {tensor.path}"
            )
        if tensor.start == tensor.stop:
            return np.zeros(tensor.shape)
        count = math.prod(tensor.shape)
        values: np.ndarray = np.memmap(
            tensor.path, _TYPES[tensor.kind], "r", offset=tensor.start, shape=(count,)
        )
        if tensor.kind == "BF16":  # the upper half of a float32
            values = (np.array(values, "<u4") << 16).view("<f4")
        with np.errstate(invalid="ignore"):  # a signalling NaN would warn
            return np.array(values, "float64").reshape(tensor.shape)

    def __contains__(self, name: object) -> bool:
        return name in self._tensors  # the one of `Mapping` would read the tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, without reading it."""
        return self._tensors[name].shape


def is_safetensors(path: str | Path) -> bool:
    """Whether a path is named like a safetensors file or the index of several.

    Args:
        path: str or path; it need not exist.

    Returns:
        bool.
    """
    return str(arguments.path("path", path)).endswith((".safetensors", INDEX))


def _parts(path: Path) -> dict[Path, set[str]]:
    """The files that an index names, and the tensors that it expects in each."""
    index = read_json(path)
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict):
        raise ValueError(f"{path} must be an index with a `weight_map`, got {reprlib.repr(index)}")
    parts: dict[Path, set[str]] = {}
    for name, file in weight_map.items():
        parts.setdefault(path.parent / _file_name(file, path), set()).add(name)
    return parts


def _file_name(file: Any, path: Path) -> str:
    """The name of a file beside the index; an index must not lead anywhere else."""
    kinds = (PurePosixPath, PureWindowsPath)
    if (
        not isinstance(file, str)
        or not file.isprintable()
        or any(kind(file).name != file for kind in kinds)
        or not file.endswith(".safetensors")
    ):
        raise ValueError(
            f"{path} must name .safetensors files of its own folder, got {reprlib.repr(file)}"
        )
    return file


def _header(path: Path) -> dict[str, _Tensor]:
    """The tensors of one file."""
    with open_plain(path) as file:
        size = path.stat().st_size
        first = file.read(8)
        length = int.from_bytes(first, "little") if len(first) == 8 else size
        if length > min(size - 8, LONGEST_JSON):
            raise ValueError(f"{path} must be a whole safetensors file, got a header of {length} "
                             f"bytes in a file of {size}")  # fmt: skip
        text = file.read(length)
    header = parse_json(text, f"{path} must be a safetensors file: its header")
    if not isinstance(header, dict):
        raise ValueError(f"{path} must be a safetensors file, got {reprlib.repr(header)} as header")
    header.pop("__metadata__", None)
    tensors = {name: _tensor(path, name, entry, 8 + length) for name, entry in header.items()}
    _check_layout(path, tensors, 8 + length, size)
    return tensors


def _tensor(path: Path, name: str, entry: Any, first: int) -> _Tensor:
    """One entry of the header, whose numbers are counted from the byte `first`."""
    if len(name) > _LONGEST_NAME:
        raise ValueError(
            f"{path} must have names of at most {_LONGEST_NAME} characters, got one of {len(name)}"
        )
    fields = entry if isinstance(entry, dict) else {}
    kind, shape, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not (
        isinstance(kind, str)
        and len(kind) <= 16
        and _are_sizes(shape)
        and len(shape) <= _MOST_AXES
        and math.prod(max(1, axis) for axis in shape) < _LARGEST
        and _are_sizes(offsets)
        and len(offsets) == 2
    ):
        raise ValueError(
            f"{path} must be a safetensors file whose header tells `dtype`, `shape` and "
            f"`data_offsets` of {name!r}, got {reprlib.repr(entry)}"
        )
    start, stop = offsets
    count = math.prod(shape)
    if kind in _BYTES and count * _BYTES[kind] != stop - start:
        raise ValueError(
            f"{name!r} must have {count} numbers of {kind}, got {stop - start} bytes in {path}"
        )
    return _Tensor(path, kind, tuple(shape), first + start, first + stop)


def _are_sizes(values: Any) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(
        arguments.is_integer(value) and value >= 0 for value in values
    )


def _check_layout(path: Path, tensors: dict[str, _Tensor], first: int, size: int) -> None:
    """The format has it that the tensors fill the file: without a gap, and none on another."""
    reached = first
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].stop)):
        if not tensor.start <= tensor.stop <= size:
            raise ValueError(f"{path} must hold {name!r} whole, got {size} bytes of {tensor.stop}")
        if tensor.start != reached:
            raise ValueError(
                f"{path} must hold its tensors one after another, got {name!r} from byte "
                f"{tensor.start} on where the one before ends at {reached}"
            )
        reached = tensor.stop
    if reached != size:
        raise ValueError(f"{path} must end with its last tensor, got {size - reached} bytes more")
