"""What the initializers of this room have in common: a draw that seed and place decide."""

import abc
import hashlib
import math
import numbers
import operator

import keras
import numpy as np

DOMAIN = 0x1A17  # keeps these draws apart from those of other modules at the same seed


class Seeded(keras.initializers.Initializer, abc.ABC):
    """Entries that are a pure function of seed, place and shape.

    Keras' own initializers draw other numbers on each backend. These are drawn in float64 with
    NumPy and rounded, so a seed gives the same bits on every backend; `place` keeps two variables
    with one seed apart.

    Args:
        seed: int in [0, 2^32), or None: new numbers at every call.
        place: str. Which variable this is; usually left to `at`.

    Raises:
        ValueError: if an argument is not of this kind.
    """

    def __init__(self, seed, place):
        if seed is not None:
            integer = isinstance(seed, numbers.Integral) and not isinstance(seed, bool)
            if not integer or not 0 <= seed < 2**32:
                raise ValueError(f"`seed` must be None or an int in [0, 2^32), got {seed!r}")
            seed = operator.index(seed)
        if not isinstance(place, str):
            raise ValueError(f"`place` must be a str, got {place!r}")
        self.seed, self.place = seed, place

    @abc.abstractmethod
    def draw(self, generator, shape):
        """The entries in float64, from a NumPy generator."""

    def at(self, *names):
        """The same initializer for another variable: `names` are added to its place."""
        place = "/".join(str(name) for name in (self.place, *names) if name != "")
        return self.from_config({**self.get_config(), "place": place})

    def __call__(self, shape, dtype=None):
        dtype = keras.backend.standardize_dtype(dtype)
        entries = self.draw(self._generator(), shape)
        # Backends round float64 to half precision in one step or in two; from float32 they agree.
        rounded = entries if dtype == "float64" else entries.astype("float32")
        return keras.ops.convert_to_tensor(rounded, dtype)

    def get_config(self):
        return {"seed": self.seed, "place": self.place}

    def _generator(self):
        if self.seed is None:
            return np.random.default_rng()
        place = np.frombuffer(hashlib.sha256(self.place.encode()).digest(), "<u4")
        return np.random.default_rng(np.random.SeedSequence([DOMAIN, self.seed, *place.tolist()]))


def finite(name, value):
    """The value as a float, if it is finite and not negative."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not 0 <= value < math.inf:
        raise ValueError(f"`{name}` must be a finite float >= 0, got {value!r}")
    return float(value)
