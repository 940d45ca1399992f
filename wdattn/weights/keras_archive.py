"""Looks into a `.keras` file before Keras opens it."""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from wdattn.weights.names import escaped
from wdattn.weights.plain_files import LONGEST_JSON, open_plain, parse_json

_CONFIG = "config.json"
# Keras stores weights as they are. One who has packed them again gains a tenth, more on zeros.
_FREE, _EXPANSION = 2**26, 20


def keras_config(path: str | Path) -> dict[str, Any]:
    """The configuration of the model in a `.keras` file, once the archive has been looked over.

    An archive may be small and inflate to any size, so the sizes that it declares are bounded
    first: 16 MB for the configuration, and for all its parts together 64 MB or 20 times the size
    of the file, whichever is more. Then it is tried whether a packed part keeps to its size.

    Args:
        path: of the file.

    Returns:
        dict, as Keras wrote it.

    Raises:
        ValueError: if the file is no archive that Keras wrote, is encrypted, or is larger inside
            than that.
        OSError: if the file cannot be read.
    """
    with open_plain(path) as file:
        size = Path(path).stat().st_size
        try:
            with zipfile.ZipFile(file) as archive:
                _check_sizes(archive.infolist(), size, f"{path}")
                for part in archive.infolist():
                    _check_packed(file, part, f"{path}")
                text = archive.read(_CONFIG)
        # What `zipfile` raises on a damaged archive.
        except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError, OSError,
                OverflowError, RuntimeError, struct.error) as error:  # fmt: skip
            told = escaped(f"{type(error).__name__}: {error}")
            raise ValueError(f"{path} must be a model that Keras 3 saved, got {told}") from None
    config = parse_json(text, f"{path} must be a model that Keras 3 saved: its config.json")
    if not isinstance(config, dict):
        raise ValueError(f"{path} must be a model that Keras 3 saved, got no object in config.json")
    return config


def _check_sizes(parts: list[zipfile.ZipInfo], size: int, path: str) -> None:
    most, inside = max(_FREE, _EXPANSION * size), sum(part.file_size for part in parts)
    for part in parts:
        name = escaped(part.filename)
        if part.flag_bits & 1:
            raise ValueError(f"{path} must be a model that Keras 3 saved, got {name} encrypted")
        if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(
                f"{path} must be stored or deflated, got {name} packed by method "
                f"{part.compress_type}"
            )
        if part.filename == _CONFIG and part.file_size > LONGEST_JSON:
            raise ValueError(
                f"{path} must have a config.json of at most {LONGEST_JSON} bytes, got "
                f"{part.file_size}"
            )
    if inside > most:
        raise ValueError(
            f"{path} must inflate to at most {most} bytes, got {inside} in a file of {size}"
        )


def _check_packed(file: BinaryIO, part: zipfile.ZipInfo, path: str) -> None:
    """Inflates a packed part bit by bit: who reads it whole trusts the declared size."""
    if part.compress_type == zipfile.ZIP_STORED:
        return
    file.seek(part.header_offset + 26)
    file.seek(sum(struct.unpack("<HH", file.read(4))), 1)  # the part's name, and more about it
    inflater, left, size = zlib.decompressobj(-zlib.MAX_WBITS), part.compress_size, 0
    while left > 0 and (packed := file.read(min(left, 2**16))):
        left -= len(packed)
        while packed and size <= part.file_size:
            size += len(inflater.decompress(packed, 2**18))
            packed = inflater.unconsumed_tail
    if size > part.file_size:
        raise ValueError(
            f"{path} must be a model that Keras 3 saved, got {escaped(part.filename)} larger than "
            f"the {part.file_size} bytes that are declared"
        )
