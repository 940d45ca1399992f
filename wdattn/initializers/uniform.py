"""Uniform entries drawn with NumPy."""

import keras

from wdattn import arguments
from wdattn.initializers.seeded import Seeded


@keras.saving.register_keras_serializable("wdattn")
class Uniform(Seeded):
    """Entries uniform between `-limit` and `limit`, a pure function of seed, path and shape.

    With `limit` = 1 / sqrt(fan_in), for kernel and bias alike, this is how PyTorch starts a dense
    layer. (Keras' `VarianceScaling` takes a bias' own length for its fan_in.) Drawn as `Normal`
    is: a seed gives the same bits on every backend, `path` keeps two variables apart.

    Args:
        limit: float >= 0, finite.
        seed: int in [0, 2^32), or None: new numbers at every call.
        path: str. Path of the variable in its model; usually left to `at`.

    Raises:
        ValueError: if an argument is not of this kind.

    Examples:
        >>> uniform = Uniform(limit=0.5, seed=1).at("hidden", "kernel")
        >>> float(keras.ops.max(keras.ops.abs(uniform((100, 100))))) <= 0.5
        True
    """

    def __init__(self, limit=0.05, seed=None, path=""):
        self.limit = arguments.real("limit", limit, least=0)
        super().__init__(seed, path)

    def draw(self, generator, shape):
        return generator.uniform(-self.limit, self.limit, shape)

    def get_config(self):
        return {"limit": self.limit, **super().get_config()}
