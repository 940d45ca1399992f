"""What the initializers of this room have in common: a draw that seed and path decide."""

import abc
import hashlib

import keras
import numpy as np

from wdattn import arguments

DOMAIN = 0x1A17  # keeps these draws apart from those of other modules at the same seed


class Seeded(keras.initializers.Initializer, abc.ABC):
    """Entries that are a pure function of seed, path and shape.

    Keras' own initializers draw other numbers on each backend. These are drawn in float64 with
    NumPy and rounded, so a seed gives the same bits on every backend; `path` keeps two variables
    with one seed apart.

    Args:
        seed: int in [0, 2^32), or None: new numbers at every call.
        path: str. Path of the variable in its model; usually left to `at`.

    Raises:
        ValueError: if an argument is not of this kind.
    """

    def __init__(self, seed, path):
        self.seed = arguments.seed_or_none("seed", seed)
        self.path = arguments.text("path", path)

    @abc.abstractmethod
    def draw(self, generator, shape):
        """The entries in float64, from a NumPy generator."""

    def at(self, *names):
        """The same initializer for another variable: `names` are added to its path."""
        path = "/".join(str(name) for name in (self.path, *names) if name != "")
        return self.from_config({**self.get_config(), "path": path})

    def __call__(self, shape, dtype=None):
        dtype = keras.backend.standardize_dtype(dtype)
        entries = self.draw(self._generator(), shape)
        # Backends round float64 to half precision in one step or in two; from float32 they agree.
        rounded = entries if dtype == "float64" else entries.astype("float32")
        return keras.ops.convert_to_tensor(rounded, dtype)

    def get_config(self):
        return {"seed": self.seed, "path": self.path}

    def _generator(self):
        if self.seed is None:
            return np.random.default_rng()
        path = np.frombuffer(hashlib.sha256(self.path.encode()).digest(), "<u4")
        return np.random.default_rng(np.random.SeedSequence([DOMAIN, self.seed, *path.tolist()]))
