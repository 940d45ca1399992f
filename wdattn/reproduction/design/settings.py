"""Frozen settings: a filled settings object is a run, and its values name it."""

import contextlib
import dataclasses
import hashlib
import importlib
import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from wdattn.arguments import is_integer
from wdattn.reproduction.design import discovery

PRECISIONS = ("float32", "float64", "mixed_bfloat16")
PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that moves a weight or parametrises a measure: a filled object *is* a run.

    A paper subclasses it with its own values as defaults. A value is None, a bool, a number, a
    string or a tuple of such values; or a reference, which stands for a value that is not known
    yet.

    Args:
        seed: int >= 0. Start and data; arms are paired by equal seeds.
        stream: int >= 0. Which of the independent batch orders of that seed.
        steps: int >= 0. Number of updates; 0 for a look at given weights.
        learning_rate: float or None. None is the paper's choice, filled in by `filled`.
        weight_decay: float >= 0. Weight decay.
        clipnorm: float or None. Norm to which the gradient is clipped; None is the paper's choice.
        precision: "float32", "float64" or "mixed_bfloat16". In which the run is trained and
            measured; matrix products are never in TF32.

    Raises:
        ValueError: if a number is not in its range.
    """

    seed: int = 0
    stream: int = 0
    steps: int
    learning_rate: float | None = None
    weight_decay: float = 0.0
    clipnorm: float | None = None
    precision: str = "float32"

    stackable: ClassVar[frozenset[str]] = frozenset(
        {"seed", "stream", "learning_rate", "weight_decay", "clipnorm"}
    )
    """The fields in which runs trained as one stack may differ."""

    system_module: ClassVar[str] = "system"
    """Of the paper's package: the module with `build(settings)`, which gives the `System`."""

    measures_module: ClassVar[str] = "measures"
    """Of the paper's package: the module with `MEASURES`, column to measure."""

    def __post_init__(self):
        for name in ("seed", "stream", "steps"):
            self.require(name, "an int >= 0", lambda n: is_integer(n) and n >= 0)
        for name in ("learning_rate", "weight_decay"):
            self.require(
                name, "finite and >= 0", lambda v: v is None or _in(v, 0, sys.float_info.max)
            )
        self.require(
            "clipnorm", "> 0", lambda norm: norm is None or (_in(norm, 0, math.inf) and norm)
        )
        self.require("precision", f"one of {', '.join(PRECISIONS)}", lambda p: p in PRECISIONS)
        for name, value in self.values().items():
            if isinstance(value, list | dict | set):
                raise ValueError(f"`{name}` must be a plain value or a tuple of them, got {value}")

    def require(self, name: str, allowed: str, fits: Callable[[Any], Any]) -> None:
        """Raises a ValueError that names the field, its value and what is allowed.

        A reference stands for a plain value that is not known yet, and passes.
        """
        value = getattr(self, name)
        if isinstance(value, (*PLAIN, tuple)) and not fits(value):
            raise ValueError(f"`{name}` must be {allowed}, got {value!r}")

    def filled(self) -> "Settings":
        """The same run with the paper's choice in place of each None."""
        return self

    def data_digest(self) -> str:
        """Names the data that the run reads from this machine; "" where it reads none."""
        return ""

    def values(self) -> dict[str, Any]:
        """Field names to values."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def packed(self) -> dict[str, Any]:
        """Plain data from which `unpacked` makes an equal object."""
        return {"class": f"{type(self).__module__}:{type(self).__qualname__}", **self.values()}

    @staticmethod
    def unpacked(data: Mapping[str, Any]) -> "Settings":
        """The settings that gave `data`; a LookupError if their class is not a paper's.

        A record is a file that may come from elsewhere: it names a class, and only the settings of
        discovered papers are imported for it (others must have been imported by the caller).
        """
        module, _, name = data["class"].partition(":")
        if module in discovery.settings_modules():
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
        named = getattr(sys.modules.get(module), name, None)
        if not (isinstance(named, type) and issubclass(named, Settings)):
            raise LookupError(f"{data['class']} is not a settings class that is known here")
        return named(**{key: _hashable(v) for key, v in data.items() if key != "class"})

    def run_id(self, build: str, backend: str) -> str:
        """Sixteen hexadecimal digits that name this run under that code and backend."""
        return run_id_of(self.packed(), build, backend)

    def group(self) -> tuple:
        """What runs must share to be trained as one stack."""
        shared = {k: v for k, v in self.values().items() if k not in self.stackable}
        return (type(self), *sorted(shared.items()))


def run_id_of(packed: Mapping[str, Any], build: str, backend: str) -> str:
    """Sixteen hexadecimal digits for packed settings under that code and backend."""
    values = {key: _as_float(value) for key, value in packed.items()}
    text = json.dumps([values, build, backend], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _as_float(value):
    """5 and 5.0 are equal settings, so they are one run."""
    if isinstance(value, list | tuple):
        return [_as_float(one) for one in value]
    return float(value) if type(value) is int else value


def _hashable(value):
    """JSON knows no tuples: it gives them back as lists."""
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value


def _in(value, low, high) -> bool:
    return isinstance(value, int | float) and low <= value <= high
