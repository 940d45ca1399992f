"""Attention and weight decay, re-measured on JAX, TensorFlow and PyTorch.

The rooms (`wdattn.layers`, `wdattn.models`, ...) load on first use, so that `import wdattn` costs
next to nothing and a backend can still be chosen after it. A saved Keras model that holds our
classes is loaded after `import wdattn.layers` (or `.models`, `.optimizers`), which registers them.
"""

import importlib
import sys

__version__ = "0.1.0.dev0"

_ROOMS = (
    "autodiff",
    "backend",
    "callbacks",
    "data",
    "diagnostics",
    "initializers",
    "layers",
    "ledger",
    "models",
    "ops",
    "optimizers",
    "papers",
    "plots",
    "replicas",
    "reproduction",
    "schedules",
    "spectra",
    "weights",
)

_LOADS_KERAS = frozenset(
    f"wdattn.{room}"
    for room in (
        "autodiff",
        "backend",
        "callbacks",
        "diagnostics",
        "initializers",
        "layers",
        "models",
        "ops",
        "optimizers",
        "replicas",
        "schedules",
    )
)

__all__ = ["__version__", "reproduce", *_ROOMS]


def __getattr__(name: str):
    if name in _ROOMS:
        return importlib.import_module(f"wdattn.{name}")
    if name == "reproduce":
        return importlib.import_module("wdattn.papers").reproduce
    raise AttributeError(f"module 'wdattn' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__():
    return sorted(__all__)


class _BackendFirst:
    """Chooses the backend just before the first room that loads Keras, unless Keras is loaded.

    It stands in `sys.meta_path`, since `import wdattn.layers` calls nothing else of this file, and
    finds no module itself.
    """

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in _LOADS_KERAS and "keras" not in sys.modules:
            importlib.import_module("wdattn.backend_choice").use()


sys.meta_path.insert(0, _BackendFirst)
