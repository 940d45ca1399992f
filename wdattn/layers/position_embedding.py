"""What tells a token its position."""

import math

import keras
import numpy as np
from keras import ops

from wdattn import arguments
from wdattn.layers import keras_objects
from wdattn.ops.at_least_float32 import at_least_float32
from wdattn.ops.positions import token_positions
from wdattn.ops.sine_cosine import sine_cosine, sine_cosine_2d

KINDS = ("learned", "sincos", "sincos2d")


@keras.saving.register_keras_serializable("wdattn")
class PositionEmbedding(keras.layers.Layer):
    """Adds to each token an embedding of its position: trained, or of sines and cosines.

    "learned" trains a row for each position, in the weight `embeddings`. "sincos" is Vaswani et al.
    (2017), Section 3.5, for any length. "sincos2d" is Beyer et al. (2022), Section 2, for the
    patches of an image, row by row, as `PatchEmbedding` gives them.

    Args:
        size: int >= 1 for "learned", the most positions; `(rows, columns)` of the grid for
            "sincos2d"; None for "sincos".
        kind: "learned", "sincos" or "sincos2d".
        initializer: of a learned one. Those of `wdattn.initializers` draw by path.
        max_wavelength: float > 1, of sines and cosines.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, tokens, features)` float. Features are even for "sincos"; for "sincos2d"
            they are a multiple of 4, at least 8, and there are rows * columns tokens.
        positions: None: 0, 1, 2, ...; an int: that of the first token; or those of all, `(tokens,)`
            or `(batch, tokens)` int, below `size` for "learned". Not for "sincos2d".

    Returns:
        Tensor of the shape of `inputs`.

    Raises:
        ValueError: if an argument is not of this kind, or `inputs` not of this shape.
    """

    def __init__(
        self,
        size=None,
        kind="learned",
        initializer="random_normal",
        max_wavelength=10_000.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.kind = arguments.choice("kind", kind, KINDS)
        if kind == "learned":
            size = arguments.integer("size", size)
        elif kind == "sincos2d":
            size = arguments.pair("size", size)
        elif size is not None:
            raise ValueError(f"`size` must be None with kind 'sincos', got {size!r}")
        self.size = size
        self.initializer = keras_objects.initializer("initializer", initializer)
        self.max_wavelength = arguments.real("max_wavelength", max_wavelength, above=1)

    def build(self, input_shape):
        self._check(input_shape)
        if self.kind == "learned":
            self.embeddings = self.add_weight(
                name="embeddings",
                shape=(self.size, input_shape[-1]),
                initializer=keras_objects.fresh(self.initializer, self.path, "embeddings"),
            )

    def call(self, inputs, positions=None):
        self._check(inputs.shape)
        if self.kind == "sincos2d":
            if positions is not None:
                raise ValueError("`positions` must be None with kind 'sincos2d': a grid is fixed")
            embeddings = sine_cosine_2d(*self.size, inputs.shape[2], self.max_wavelength)
            return inputs + ops.convert_to_tensor(embeddings, inputs.dtype)
        if self.kind == "learned":
            if positions is None:
                return inputs + self.embeddings[: ops.shape(inputs)[1]]
            rows = token_positions(inputs, positions)
            if isinstance(rows, np.ndarray) and not ((rows >= 0) & (rows < self.size)).all():
                raise ValueError(
                    f"`positions` must be in [0, {self.size - 1}], as `size` says, got {positions}"
                )
            return inputs + ops.take(self.embeddings, rows, axis=0)
        exact = at_least_float32(inputs)
        rows = token_positions(inputs, positions)
        embeddings = sine_cosine(rows, inputs.shape[2], self.max_wavelength, exact)
        return inputs + ops.cast(embeddings, inputs.dtype)

    def compute_output_shape(self, input_shape):
        self._check(input_shape)
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "kind": self.kind,
            "initializer": keras_objects.config(self.initializer),
            "max_wavelength": self.max_wavelength,
        }

    def _check(self, shape):
        _, tokens, features = shape if len(shape) == 3 else (None, None, None)
        if features is None:
            allowed, fits = "of known features", False
        elif self.kind == "learned":
            allowed, fits = f"with at most {self.size} tokens", (tokens or 0) <= self.size
        elif self.kind == "sincos":
            allowed, fits = "with an even number of features", features % 2 == 0
        else:
            count = math.prod(self.size)
            allowed = f"with {count} tokens, and 8, 12, 16, ... features"
            fits = tokens in (None, count) and features % 4 == 0 and features >= 8
        if not fits:
            raise ValueError(
                f"`inputs` must be (batch, tokens, features) {allowed}, got {tuple(shape)}"
            )
