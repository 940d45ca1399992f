"""Chooses the Keras backend before Keras is imported; imports nothing heavy itself."""

import importlib.metadata
import importlib.util
import json
import os
import sys
from pathlib import Path

from wdattn import install

BACKENDS = ("jax", "torch", "tensorflow")
"""In the order in which they are tried when nothing says which."""


class NoBackend(RuntimeError):
    """The backend asked for, or any at all, is not installed."""


def installed() -> tuple[str, ...]:
    """The backends that could be imported."""
    return tuple(name for name in BACKENDS if importlib.util.find_spec(name) is not None)


def version(name: str) -> str:
    """The installed version of a backend."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # a build of another name: tensorflow-cpu
        return "installed, under another name"


def choose(asked: str | None = None) -> tuple[str, str]:
    """The backend to use and what decided it.

    The order is: `asked`, the environment's `KERAS_BACKEND`, the user's `keras.json` (unless it
    is the one that Keras wrote itself, or names what is not installed), the first installed of
    jax, torch, tensorflow.

    Args:
        asked: name of a backend, or None.

    Returns:
        Its name, and "--backend", "KERAS_BACKEND", the path of keras.json, or "first installed".

    Raises:
        ValueError: if a name is not that of a backend.
        NoBackend: if the backend is not installed; the message has the pip line to type.
    """
    for name, source in ((asked, "--backend"), (os.environ.get("KERAS_BACKEND"), "KERAS_BACKEND")):
        if name:
            _check(name, source)
            return name, source
    if not installed():
        raise NoBackend(f"no backend is installed; type: {install.missing('jax')}")
    configured = _configured()
    if configured in installed():
        return configured, str(_keras_json())
    return installed()[0], "first installed"


def use(asked: str | None = None) -> str:
    """Chooses a backend, sets `KERAS_BACKEND` to it and returns its name; before Keras loads.

    Args:
        asked: name of a backend, or None.

    Raises:
        ValueError: as `choose`, or if Keras was already imported with another backend.
        NoBackend: as `choose`.
    """
    name, source = choose(asked)
    keras = sys.modules.get("keras")
    if keras is not None and keras.config.backend() != name:
        raise ValueError(f"{name} ({source}) cannot be used: Keras was already imported with "
                         f"{keras.config.backend()}")  # fmt: skip
    os.environ["KERAS_BACKEND"] = name
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return name


def _check(name, source):
    if name not in BACKENDS:
        raise ValueError(f"{source} must be one of {', '.join(BACKENDS)}, got {name!r}")
    if name not in installed():
        raise NoBackend(f"{name} ({source}) is not installed; type: {install.missing(name)}")


def _keras_json() -> Path:
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "keras.json"


# Keras writes this file unasked when it is first imported, also where TensorFlow is not installed
# or KERAS_BACKEND says otherwise: it is nobody's choice.
_UNASKED = {
    "floatx": "float32",
    "epsilon": 1e-07,
    "backend": "tensorflow",
    "image_data_format": "channels_last",
}


def _configured() -> str | None:
    """The backend in the user's keras.json, if there is one that can be read."""
    try:
        config = json.loads(_keras_json().read_text("utf-8"))
        return None if config == _UNASKED else config.get("backend")
    except (OSError, ValueError, AttributeError):
        return None
