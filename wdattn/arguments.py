"""Checks of arguments: each gives the value ready for use, or raises a `ValueError` that names the
argument, the value and what is allowed. NumPy's numbers count as Python's.
"""

import math
import operator
import reprlib
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "array",
    "axes",
    "choice",
    "flag",
    "flag_or_none",
    "function",
    "function_or_none",
    "integer",
    "integer_or_none",
    "integers",
    "is_integer",
    "is_real",
    "numbers",
    "pair",
    "path",
    "real",
    "real_or_none",
    "seed_or_none",
    "shape_or_none",
    "text",
]


def is_integer(value: Any) -> bool:
    """Whether it is an integer of Python's or NumPy's; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)


def is_real(value: Any) -> bool:
    """Whether it is a finite number of Python's or NumPy's; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_) and _finite(value)


def integer(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """An int of at least `least`, and of at most `most`."""
    if not _is_between(value, least, most):
        raise ValueError(f"`{name}` must be {_an_int(least, most)}, got {value!r}")
    return operator.index(value)


def integer_or_none(name: str, value: Any, least: int = 1, most: int | None = None) -> int | None:
    """None, or an int of at least `least`, and of at most `most`."""
    if value is None:
        return None
    if not _is_between(value, least, most):
        raise ValueError(f"`{name}` must be None or {_an_int(least, most)}, got {value!r}")
    return operator.index(value)


def integers(name: str, values: Any, least: int = 0) -> tuple[int, ...]:
    """Several ints of at least `least`, of which there is at least one; or one alone."""
    each = _several(values)
    if not each or not all(_is_between(one, least, None) for one in each):
        raise ValueError(f"`{name}` must be one or more ints >= {least}, got {values!r}")
    return tuple(map(operator.index, each))


def axes(name: str, value: Any, rank: int | None = None) -> tuple[int, ...]:
    """Different axes, from one or several; of so many axes, they are given from 0 on, ascending."""
    each = _several(value)
    fits = bool(each) and all(map(is_integer, each))
    if fits and rank is not None:
        fits = all(-rank <= axis < rank for axis in each)
        each = tuple(sorted(operator.index(axis) % rank for axis in each)) if fits else each
    if not fits or len(set(each)) < len(each):
        within = "" if rank is None else f" in [{-rank}, {rank - 1}]"
        raise ValueError(
            f"`{name}` must be an int or different ints{within}, at least one, got {value!r}"
        )
    return tuple(map(operator.index, each))


def flag_or_none(name: str, value: Any) -> bool | None:
    """None, True or False."""
    if value is not None and not isinstance(value, bool | np.bool_):
        raise ValueError(f"`{name}` must be None, True or False, got {value!r}")
    return None if value is None else bool(value)


def seed_or_none(name: str, value: Any) -> int | None:
    """None, or an int in [0, 2^32)."""
    return integer_or_none(name, value, least=0, most=2**32 - 1)


def real(
    name: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """A finite float within the bounds: `least` and `most` are allowed, `above` and `below` not."""
    fits = is_real(value) and not (
        (least is not None and value < least)
        or (above is not None and value <= above)
        or (most is not None and value > most)
        or (below is not None and value >= below)
    )
    if not fits:
        bounds = {">=": least, ">": above, "<=": most, "<": below}
        told = " and ".join(f"{sign} {end:g}" for sign, end in bounds.items() if end is not None)
        raise ValueError(f"`{name}` must be a finite float{told and f' {told}'}, got {value!r}")
    return float(value)


def real_or_none(name: str, value: Any, **bounds: float) -> float | None:
    """None, or what `real` allows."""
    if value is None:
        return None
    try:
        return real(name, value, **bounds)
    except ValueError as error:
        raise ValueError(str(error).replace("must be a", "must be None or a", 1)) from None


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"`{name}` must be True or False, got {value!r}")
    return bool(value)


def text(name: str, value: Any) -> str:
    """A str."""
    if not isinstance(value, str):
        raise ValueError(f"`{name}` must be a str, got {value!r}")
    return value


def choice(name: str, value: Any, known: Iterable[Any]) -> Any:
    """One of the names that are known, of which None may be one."""
    known = tuple(known)
    if not (value is None or isinstance(value, str)) or value not in known:
        raise ValueError(f"`{name}` must be one of {', '.join(map(str, known))}, got {value!r}")
    return value


def function(name: str, value: Any) -> Callable:
    """A callable."""
    if not callable(value):
        raise ValueError(f"`{name}` must be callable, got {value!r}")
    return value


def function_or_none(name: str, value: Any) -> Callable | None:
    """None, or a callable."""
    if value is not None and not callable(value):
        raise ValueError(f"`{name}` must be None or callable, got {value!r}")
    return value


def array(name: str, value: Any, *names: str) -> np.ndarray:
    """`numbers` with as many axes as are named, none of length 0."""
    given = numbers(name, value)
    if given.ndim != len(names) or not given.size:
        wanted = f"({', '.join(names)}{',' * (len(names) == 1)})"
        raise ValueError(
            f"`{name}` must be an array {wanted}, no axis of length 0, got the shape {given.shape}"
        )
    return given


def shape_or_none(name: str, value: Any) -> tuple[int, ...] | None:
    """None, or a tuple of sizes, from an int or several."""
    sizes = value if isinstance(value, list | tuple) else (value,)
    if value is None:
        return None
    if not sizes or not all(_is_between(size, 1, None) for size in sizes):
        raise ValueError(f"`{name}` must be None, an int >= 1 or a tuple of these, got {value!r}")
    return tuple(map(operator.index, sizes))


def pair(name: str, value: Any) -> tuple[int, int]:
    """Two ints >= 1, from one for both or from two."""
    sizes = tuple(value) if isinstance(value, list | tuple) else (value, value)
    if len(sizes) != 2 or not all(_is_between(size, 1, None) for size in sizes):
        raise ValueError(f"`{name}` must be an int >= 1 or a pair of these, got {value!r}")
    return operator.index(sizes[0]), operator.index(sizes[1])


def path(name: str, value: Any) -> Path:
    """A path, from one or a str."""
    if not isinstance(value, str | Path):
        raise ValueError(f"`{name}` must be a str or a path, got {value!r}")
    return Path(value)


def numbers(name: str, value: Any) -> np.ndarray:
    """A float64 array of any shape; strings, booleans and complex numbers are refused, NaN is not.

    What is one already is not copied.
    """
    try:
        given = np.asarray(value)
        # Kind V are narrow floats that NumPy itself does not know, such as bfloat16.
        if given.dtype.kind in "iufV":
            return given.astype("float64", copy=False)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"`{name}` must be an array of real numbers, got {reprlib.repr(value)}")


def _is_between(value: Any, least: int, most: int | None) -> bool:
    return is_integer(value) and least <= value and (most is None or value <= most)


def _several(value: Any) -> tuple:
    """The members of what can be gone through; what cannot, and a text, stands alone."""
    alone = isinstance(value, str | bytes) or not isinstance(value, Iterable)
    return (value,) if alone or is_integer(value) else tuple(value)


def _an_int(least: int, most: int | None) -> str:
    return f"an int >= {least}" if most is None else f"an int in [{least}, {most}]"


def _finite(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond every float
        return False
