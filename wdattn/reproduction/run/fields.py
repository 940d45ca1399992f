"""What the fields of stored files may be: a file may come from elsewhere, and some become paths."""

import itertools
import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wdattn.backend_choice import BACKENDS
from wdattn.reproduction.run.integrity import Misfit

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""A paper's key, an experiment, a scale, a build: a word that is one part of a file's name."""

RUN_ID = re.compile(r"[0-9a-f]{16}")


def name(field: str, value: Any) -> str:
    """A word that may be a part of a file's name."""
    return _matched(field, value, NAME, "a word of letters, digits, '.', '_' and '-'")


def run_id(field: str, value: Any) -> str:
    """Sixteen hexadecimal digits."""
    return _matched(field, value, RUN_ID, "16 hexadecimal digits")


def backend(value: Any) -> str:
    """A backend that there is."""
    if not isinstance(value, str) or value not in BACKENDS:
        raise Misfit(f"its backend must be one of {', '.join(BACKENDS)}, got {_told(value)}")
    return value


def column(value: Any) -> str:
    """A column's name: short, printable, no path."""
    fits = isinstance(value, str) and 0 < len(value) <= 100 and value.isprintable()
    if not fits or "/" in value:
        raise Misfit(f"a column must have a short name without '/', got {_told(value)}")
    return value


def versions(value: Any) -> dict[str, str]:
    """Names of libraries and their versions."""
    texts = [*value, *value.values()] if isinstance(value, dict) else [None]
    if not all(isinstance(text, str) and len(text) <= 200 for text in texts):
        raise Misfit(f"its versions must be names and short texts, got {_told(value)}")
    return value


def date(value: Any) -> str:
    """A date and time in ISO 8601, with its offset from UTC."""
    try:
        if datetime.fromisoformat(value).tzinfo is not None:
            return value
    except (TypeError, ValueError):
        pass
    raise Misfit(f"its date must be in ISO 8601, got {_told(value)}")


def seconds(value: Any) -> float:
    """A time that it took."""
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or not 0 <= value < math.inf:
        raise Misfit(f"its seconds must be a number >= 0, got {_told(value)}")
    return value


def iterates(value: Any) -> list[int]:
    """Iterates in order."""
    fits = isinstance(value, list) and all(type(one) is int and 0 <= one < 2**63 for one in value)
    if not fits or any(a >= b for a, b in itertools.pairwise(value)):
        raise Misfit(f"iterates must be ints >= 0 in order, got {_told(value)}")
    return value


def sizes(value: Any) -> tuple[int, ...]:
    """The shape of a cell."""
    if not isinstance(value, list) or not all(type(one) is int and one >= 0 for one in value):
        raise Misfit(f"a shape must be ints >= 0, got {_told(value)}")
    return tuple(value)


def table(field: str, value: Any) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise Misfit(f"its {field} must be an object, got {_told(value)}")
    return value


def rows(field: str, value: Any) -> list[Any]:
    """A JSON array."""
    if not isinstance(value, list):
        raise Misfit(f"its {field} must be an array, got {_told(value)}")
    return value


def taken(field: str, source: Mapping[str, Any]) -> Any:
    """The field of that name; a `Misfit` if there is none."""
    if field not in source:
        raise Misfit(f"it has no {field!r}")
    return source[field]


def parsed(text: bytes) -> dict[str, Any]:
    """A JSON object, of any nesting that can be read."""
    try:
        return table("JSON", json.loads(text))
    except (ValueError, RecursionError) as error:
        raise Misfit(f"{type(error).__name__}: {error}") from None


def _matched(field, value, pattern, allowed):
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Misfit(f"its {field} must be {allowed}, got {_told(value)}")
    return value


def _told(value) -> str:
    """A value in a message, escaped and short."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
