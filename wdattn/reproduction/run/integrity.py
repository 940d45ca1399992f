"""What holds a file to what it says it is: digests, and the error where it does not fit."""

import hashlib
from collections.abc import Mapping

import numpy as np


class Misfit(ValueError):
    """A file, or a part of it, is not what it says it is."""


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Sixteen hexadecimal digits of names, types, shapes and numbers; NaN is NaN, whatever bits."""
    told = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        if array.dtype.kind == "f" and np.isnan(array).any():
            array = np.where(np.isnan(array), np.asarray(np.nan, array.dtype), array)
        told.update(f"{name} {array.dtype.str} {np.shape(arrays[name])}\n".encode())
        told.update(array.tobytes())
    return told.hexdigest()[:16]


def digest_of(data: bytes) -> str:
    """Sixteen hexadecimal digits of bytes."""
    return hashlib.sha256(data).hexdigest()[:16]
