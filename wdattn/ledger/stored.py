"""The ledger's file: rows as JSON, written whole and read back strictly."""

import json
import math
import reprlib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from wdattn.arguments import is_integer
from wdattn.ledger.row import Row
from wdattn.reproduction.design.claim import VERDICTS
from wdattn.reproduction.design.references import Choice
from wdattn.reproduction.judge.judgement import Beside, Part

MOST_BYTES = 64 * 2**20
"""The largest file that is read: four papers at three scales on three backends take under 2 MB."""


def to_json(rows: Sequence[Row]) -> str:
    """Rows as JSON; an end that is open and a number that is not finite are null.

    Args:
        rows: ledger rows.

    Returns:
        str that ends with a newline.
    """
    return json.dumps(_plain(list(rows)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> tuple[list[Row], list[str]]:
    """The rows that `to_json` wrote, and what is wrong with those that it did not.

    Args:
        text: JSON.

    Returns:
        The rows that are well formed, and a line for each that is not.

    Raises:
        ValueError: if `text` is no JSON, or not a list.
    """
    try:
        plain = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(plain, list):
        raise ValueError(f"it must be a JSON list of rows, got a {type(plain).__name__}")
    rows, wrong = [], []
    for number, one in enumerate(plain):
        try:
            rows.append(row_of(one))
        except ValueError as error:
            wrong.append(f"row {number}: {error}")
    return rows, wrong


def read(path: Path) -> tuple[list[Row], list[str]]:
    """The rows of a file, as `from_json` gives them.

    Args:
        path: of a ledger.

    Raises:
        ValueError: if it is not a file of up to `MOST_BYTES` with a JSON list.
    """
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it must be a file of up to {MOST_BYTES >> 20} MiB")
        return from_json(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a ledger: {error}") from None


def row_of(plain: Any) -> Row:
    """A row from what `json.loads` makes of it.

    Args:
        plain: dict with every field of `Row` and no other.

    Raises:
        ValueError: if a field is missing, unknown or of another kind; it names the field.
    """
    return _record(plain, Row, "a row", ROW)


def plainly(row: Row) -> Row:
    """The row as it comes back from its file: numbers are Python's, NaN and open ends are one each.

    Args:
        row: a ledger row.
    """
    return row_of(_plain(row))


def _plain(value: Any) -> Any:
    """The only place in which a number that is not finite becomes null."""
    if isinstance(value, Row | Part | Choice | Beside):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):  # a NumPy array or scalar
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


# Readers of one field each: what `_plain` made of a value, and the value again


def _record(plain: Any, kind: type, name: str, readers: Mapping[str, Callable[[Any], Any]]) -> Any:
    if not isinstance(plain, dict):
        raise ValueError(f"{name} must be an object, got {reprlib.repr(plain)}")
    if lacking := [field for field in readers if field not in plain]:
        raise ValueError(f"{name} must have {', '.join(readers)}; it lacks {', '.join(lacking)}")
    if unknown := [field for field in plain if field not in readers]:
        raise ValueError(f"{name} has no field {', '.join(map(reprlib.repr, unknown))}")
    values = {}
    for field, reader in readers.items():
        try:
            values[field] = reader(plain[field])
        except ValueError as error:
            raise ValueError(f"`{field}` {error}") from None
    return kind(**values)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not all(map(_shows, value)):
        raise ValueError(f"must be text without control characters, got {reprlib.repr(value)}")
    return value


def _shows(character: str) -> bool:
    """Whether it can be printed without an effect on what stands around it."""
    return character == "\n" or not unicodedata.category(character).startswith("C")


def _number(value: Any) -> float:
    """A finite float; null is the NaN that was written."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        raise ValueError(f"must be a finite number or null, got {reprlib.repr(value)}")
    return float(value)


def _finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _low(value: Any) -> float:
    return -math.inf if value is None else _number(value)


def _high(value: Any) -> float:
    return math.inf if value is None else _number(value)


def _or_none(reader: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else reader(value)


def _interval(value: Any) -> tuple[float, float]:
    ends = _list(lambda one: one)(value)
    if len(ends) != 2:
        raise ValueError(f"must have two ends, got {len(ends)}")
    return _low(ends[0]), _high(ends[1])


def _list(reader: Callable[[Any], Any]) -> Callable[[Any], tuple]:
    def read_list(value: Any) -> tuple:
        if not isinstance(value, list):
            raise ValueError(f"must be a list, got {reprlib.repr(value)}")
        return tuple(map(reader, value))

    return read_list


def _integer(value: Any) -> int:
    if not is_integer(value):
        raise ValueError(f"must be an int, got {reprlib.repr(value)}")
    return value


def _setting(value: Any) -> Any:
    """A setting's value: text, a number, a flag, null, or several of them."""
    if isinstance(value, list):
        return tuple(map(_setting, value))
    if isinstance(value, dict):
        raise ValueError(f"must hold plain values, got {reprlib.repr(value)}")
    return _text(value) if isinstance(value, str) else value


def _by_name(reader: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    def read_dict(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(f"must be an object, got {reprlib.repr(value)}")
        return {_text(name): reader(one) for name, one in value.items()}

    return read_dict


def _one_of(*known: str) -> Callable[[Any], str]:
    def read_name(value: Any) -> str:
        if value not in known:
            raise ValueError(f"must be one of {', '.join(known)}, got {reprlib.repr(value)}")
        return value

    return read_name


_NUMBERS: dict[str, Callable[[Any], Any]] = {
    "label": _text,
    "unit": _text,
    "values": _list(_number),
    "effect": _or_none(_number),
    "interval": _or_none(_interval),
}
PART = _NUMBERS | {
    "low": _low,
    "high": _high,
    "verdict": _one_of(*VERDICTS),
    "criterion": _one_of("interval", "every"),
    "effects": _integer,
    "reaches": _or_none(_number),
    "reached": _or_none(_number),
}
CHOICE = {
    "setting": _text,
    "value": _setting,
    "grid": _list(_setting),
    "arm": _by_name(_setting),
}
ROW: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        ("paper", "claim", "title", "source", "backend", "scale", "verdict", "why", "expects",
         "threshold_source", "deviations", "remark"),
        _text,
    ),
    "seeds": _list(_integer),
    "set_aside": _list(_integer),
    "parts": _list(lambda one: _record(one, Part, "a part", PART)),
    "control_parts": _list(lambda one: _record(one, Part, "a part", PART)),
    "control": _or_none(_text),
    "choices": _list(lambda one: _record(one, Choice, "a choice", CHOICE)),
    "beside": _list(lambda one: _record(one, Beside, "an effect beside", _NUMBERS)),
    "skipped": _number,
    "builds": _list(_text),
    "versions": _list(_by_name(_text)),
}  # fmt: skip
