"""What a diagnostic returned as named numbers, one a column."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

# More columns than a table can be read with: a whole diagonal or spectrum, returned by mistake.
_MOST = 1000


def columns(name: str, value: Any) -> dict[str, float | int | bool | str]:
    """The value as plain numbers by name.

    A number stands under the diagnostic's name. The fields of a record, the entries of a mapping
    and of an array stand behind it and a slash: `trace/value`, `trace/by_group/dense`,
    `top/largest/0`.

    Args:
        name: the diagnostic's name.
        value: a number, a string, an array, a tensor, a dataclass, a mapping or a sequence of such.

    Returns:
        The columns, in the order of the value.

    Raises:
        ValueError: if something else is in the value, or it has more than 1000 columns.
    """
    named: dict[str, float | int | bool | str] = {}
    for column, entry in _entries(name, value):
        if len(named) == _MOST:
            raise ValueError(
                f"the diagnostic {name!r} gives more than {_MOST} columns: let it return the "
                "numbers that are to be kept"
            )
        named[column] = entry
    return named


def _entries(name: str, value: Any) -> Iterator[tuple[str, float | int | bool | str]]:
    if isinstance(value, str | bool | int | float):
        yield name, value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _entries(f"{name}/{field.name}", getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _entries(f"{name}/{key}", entry)
    elif isinstance(value, list | tuple):
        for number, entry in enumerate(value):
            yield from _entries(f"{name}/{number}", entry)
    else:
        yield from _numbers(name, value)


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float | int | bool]]:
    try:
        array = np.asarray(keras.ops.convert_to_numpy(value))
    except (TypeError, ValueError):
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"the diagnostic {name!r} must give numbers, arrays, mappings or records of them, "
            f"got {type(value).__name__}"
        )
    for index in np.ndindex(array.shape):
        yield "/".join([name, *map(str, index)]), array[index].item()
