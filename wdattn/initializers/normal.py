"""Normal entries drawn with NumPy."""

import keras

from wdattn import arguments
from wdattn.initializers.seeded import Seeded


@keras.saving.register_keras_serializable("wdattn")
class Normal(Seeded):
    """Entries N(0, stddev^2), a pure function of seed, path and shape.

    Keras' own initializers draw other numbers on each backend. These are drawn in float64 with
    NumPy and rounded, so a seed gives the same bits on every backend; `path` keeps two variables
    with one seed apart.

    Args:
        stddev: float >= 0, finite.
        seed: int in [0, 2^32), or None: new numbers at every call.
        path: str. Path of the variable in its model; usually left to `at`.

    Raises:
        ValueError: if an argument is not of this kind.

    Examples:
        >>> first, second = (Normal(seed=1).at("attention_0", index) for index in range(2))
        >>> first.path, second.path
        ('attention_0/0', 'attention_0/1')
    """

    def __init__(self, stddev=0.05, seed=None, path=""):
        self.stddev = arguments.real("stddev", stddev, least=0)
        super().__init__(seed, path)

    def draw(self, generator, shape):
        return self.stddev * generator.standard_normal(shape)

    def get_config(self):
        return {"stddev": self.stddev, **super().get_config()}
