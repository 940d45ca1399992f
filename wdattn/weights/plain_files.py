"""Opens files of which nothing is known yet."""

import json
import stat
from pathlib import Path
from typing import Any, BinaryIO

from wdattn import arguments

LONGEST_JSON = 2**24  # bytes; the largest header or index of a model is a few million


def open_plain(path: str | Path) -> BinaryIO:
    """A file for reading, if it is a plain one: a pipe or a device could be waited for forever.

    Args:
        path: of the file, or of a link to one.

    Returns:
        The open binary file.

    Raises:
        ValueError: if it is no path, or there is something else at it.
        OSError: if the file cannot be read.
    """
    path = arguments.path("path", path)
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path} must be a plain file, got a folder, a pipe or a device")
    return path.open("rb")


def read_json(path: str | Path) -> Any:
    """What a JSON file of at most 16 MB holds.

    Args:
        path: of the file.

    Returns:
        dict, list, str, int, float, bool or None.

    Raises:
        ValueError: if the file is larger than that, or not JSON.
        OSError: if it cannot be read.
    """
    with open_plain(path) as file:
        text = file.read(LONGEST_JSON + 1)
    return parse_json(text, f"{path}")


def parse_json(text: bytes, where: str) -> Any:
    """What a JSON text holds; `where` is the beginning of the message if it holds nothing.

    NaN, which JSON does not know, and a name that an object has twice are refused.

    Raises:
        ValueError: if the text is too long, nested too deep, or not JSON.
    """
    if len(text) > LONGEST_JSON:
        raise ValueError(f"{where} must be JSON of at most {LONGEST_JSON} bytes, got more")
    try:
        return json.loads(
            text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant
        )
    except RecursionError:
        raise ValueError(f"{where} must be JSON, got brackets nested too deep") from None
    except ValueError as error:
        kind = type(error).__name__
        raise ValueError(f"{where} must be JSON, got {kind}: {str(error)[:200]}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name that an object has twice")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name}, which is no number of JSON")
