"""The only room that knows which backend runs: derivatives, `vmap` and `jit` of pure functions.

A function has its parameters, a list of backend tensors, as its first argument and data after it.
The names are the same on each backend, and they compose:

- `value_and_grad(function, has_aux=False)` gives `(parameters, *data) -> (value, gradients)`, or
  `((value, aux), gradients)`; gradients are dense, and 0 for a parameter that is not used.
- `jvp(function)` gives `(parameters, vectors, *data) -> (outputs, tangents)`.
- `vjp(function)` gives `(parameters, *data) -> (outputs, pullback)`.
- `hvp(function)` gives `(parameters, vectors, *data) -> products`, a list; right through Keras' own
  layers, or it raises.
- `vmap(function, in_axes=0)` maps over an axis of each argument; None maps not at all.
- `each(function, in_axes=0)` is `vmap` for work that does not fit the cache together: where that is
  faster, one after the other. `NESTS` says whether a `vmap` inside it is worth it.
- `contract(left, right)` sums over the first axis: `(j, i, b)` and `(j, k, b)` give `(i, k, b)`,
  a product left^T right for each b. For j, i, k far smaller than b; it has all derivatives.
- `jit(function)` compiles where the backend can. Keras variables that the function reads are read
  at each call, what it assigns to them is dropped, and no generator advances.
- `together` takes optimizer steps of many variables in one call, in place; None where the backend
  compiles a step anyway.
- `full_precision()` is a context in which float32 products keep all their bits.
- `precision(name)` is that and more: layers made in it compute in "float32", in "float64" or, over
  float32 weights, in bfloat16 ("mixed_bfloat16"), whatever Keras and JAX were set to before.
- `describe()` says what runs.
- `LiveScope` is `keras.StatelessScope` for functions whose derivatives nest.

`wdattn.autodiff` is the face of this for Keras variables.
"""

import contextlib
import platform
from collections.abc import Iterator

import keras
import numpy

from wdattn.backend._live_scope import LiveScope
from wdattn.backend.keras_precision import keras_precision

_NAME = keras.backend.backend()
if _NAME == "jax":
    from wdattn.backend import _jax as _backend
elif _NAME == "tensorflow":
    from wdattn.backend import _tensorflow as _backend
elif _NAME == "torch":
    from wdattn.backend import _torch as _backend
else:
    raise ValueError(f"the Keras backend must be jax, tensorflow or torch, got {_NAME!r}")

value_and_grad = _backend.value_and_grad
jvp = _backend.jvp
vjp = _backend.vjp
hvp = _backend.hvp
vmap = _backend.vmap
each = _backend.each
NESTS = _backend.NESTS
contract = _backend.contract
jit = _backend.jit
together = _backend.together
full_precision = _backend.full_precision

__all__ = [
    "NESTS",
    "LiveScope",
    "contract",
    "describe",
    "each",
    "full_precision",
    "hvp",
    "jit",
    "jvp",
    "precision",
    "together",
    "value_and_grad",
    "vjp",
    "vmap",
]


def describe() -> dict[str, str]:
    """What runs, as plain strings: backend, its version, Keras, NumPy, Python and the device."""
    return {
        "backend": _NAME,
        "backend_version": _backend.version(),
        "keras": keras.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "device": _backend.device(),
    }


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """A context in which models are made and run in that precision.

    Args:
        name: "float32", "float64" or "mixed_bfloat16".

    Raises:
        ValueError: if there is no such precision.
    """
    with keras_precision(name), _backend.doubles(name == "float64"), full_precision():
        yield
