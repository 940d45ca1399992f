"""Normal entries drawn with NumPy."""

import hashlib
import math
import numbers
import operator

import keras
import numpy as np

DOMAIN = 0x1A17  # keeps these draws apart from those of other modules at the same seed


@keras.saving.register_keras_serializable("wdattn")
class Normal(keras.initializers.Initializer):
    """Entries N(0, stddev^2), a pure function of seed, place and shape.

    Keras' own initializers draw other numbers on each backend. These are drawn in float64 with
    NumPy and rounded, so a seed gives the same bits on every backend; `place` keeps two variables
    with one seed apart.

    Args:
        stddev: float >= 0, finite.
        seed: int in [0, 2^32), or None: new numbers at every call.
        place: str. Which variable this is; usually left to `at`.

    Raises:
        ValueError: if an argument is not of this kind.

    Examples:
        >>> first, second = (Normal(seed=1).at("attention_0", index) for index in range(2))
        >>> first.place, second.place
        ('attention_0/0', 'attention_0/1')
    """

    def __init__(self, stddev=0.05, seed=None, place=""):
        real = isinstance(stddev, numbers.Real) and not isinstance(stddev, bool)
        if not real or not 0 <= stddev < math.inf:
            raise ValueError(f"`stddev` must be a finite float >= 0, got {stddev!r}")
        if seed is not None:
            integer = isinstance(seed, numbers.Integral) and not isinstance(seed, bool)
            if not integer or not 0 <= seed < 2**32:
                raise ValueError(f"`seed` must be None or an int in [0, 2^32), got {seed!r}")
            seed = operator.index(seed)
        if not isinstance(place, str):
            raise ValueError(f"`place` must be a str, got {place!r}")
        self.stddev, self.seed, self.place = float(stddev), seed, place

    def at(self, *names):
        """The same initializer for another variable: `names` are added to its place."""
        place = "/".join(str(name) for name in (self.place, *names) if name != "")
        return Normal(self.stddev, self.seed, place)

    def __call__(self, shape, dtype=None):
        dtype = keras.backend.standardize_dtype(dtype)
        draw = self.stddev * self._generator().standard_normal(shape)
        # Backends round float64 to half precision in one step or in two; from float32 they agree.
        rounded = draw if dtype == "float64" else draw.astype("float32")
        return keras.ops.convert_to_tensor(rounded, dtype)

    def get_config(self):
        return {"stddev": self.stddev, "seed": self.seed, "place": self.place}

    def _generator(self):
        if self.seed is None:
            return np.random.default_rng()
        place = np.frombuffer(hashlib.sha256(self.place.encode()).digest(), "<u4")
        return np.random.default_rng(np.random.SeedSequence([DOMAIN, self.seed, *place.tolist()]))
