"""Images to tokens."""

import keras
from keras import ops

from wdattn import arguments
from wdattn.layers import keras_objects


@keras.saving.register_keras_serializable("wdattn")
class PatchEmbedding(keras.layers.Layer):
    """Cuts images into patches that do not overlap, and projects each to a token.

    Dosovitskiy et al. (2021), Section 3.1. Patches go row by row; within one, the sub-layer
    `projection` reads row, column and channel. Its kernel is that of a convolution whose stride is
    its size, reshaped: `(rows * columns * channels, embed_dim)`.

    Args:
        patch_size: int >= 1, or `(rows, columns)` of a patch in pixels.
        embed_dim: int >= 1. Features of a token.
        use_bias: bool. Whether the projection has a bias.
        kernel_initializer: of its kernel. Those of `wdattn.initializers` draw by path.
        bias_initializer: of its bias.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, height, width, channels)` float; both sizes multiples of the patch's.

    Returns:
        `(batch, patches, embed_dim)`.

    Raises:
        ValueError: if an argument is not of this kind, or `inputs` not of this shape.
    """

    def __init__(
        self,
        patch_size,
        embed_dim,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.patch_size = arguments.pair("patch_size", patch_size)
        self.embed_dim = arguments.integer("embed_dim", embed_dim)
        self.use_bias = arguments.flag("use_bias", use_bias)
        self.kernel_initializer = keras_objects.initializer(
            "kernel_initializer", kernel_initializer
        )
        self.bias_initializer = keras_objects.initializer("bias_initializer", bias_initializer)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        rows, columns = self.patch_size
        patches = (input_shape[0], None, rows * columns * input_shape[-1])
        self.projection = keras_objects.projection(
            self, "projection", "bpi,io->bpo", (self.embed_dim,), patches
        )

    def call(self, inputs):
        self.compute_output_shape(inputs.shape)
        _, height, width, channels = ops.shape(inputs)
        rows, columns = self.patch_size
        down, across = height // rows, width // columns
        patches = ops.reshape(inputs, (-1, down, rows, across, columns, channels))
        patches = ops.transpose(patches, (0, 1, 3, 2, 4, 5))
        return self.projection(ops.reshape(patches, (-1, down * across, rows * columns * channels)))

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        if (
            len(shape) != 4
            or shape[-1] is None
            or any(
                size is not None and (size < 1 or size % patch)
                for size, patch in zip(shape[1:3], self.patch_size, strict=True)
            )
        ):
            raise ValueError(
                "`inputs` must be (batch, height, width, channels) with height and width multiples "
                f"of {self.patch_size}, got {shape}"
            )
        sizes = zip(shape[1:3], self.patch_size, strict=True)
        counts = [size and size // patch for size, patch in sizes]
        return shape[0], None if None in counts else counts[0] * counts[1], self.embed_dim

    def get_config(self):
        return {
            **super().get_config(),
            "patch_size": self.patch_size,
            "embed_dim": self.embed_dim,
            "use_bias": self.use_bias,
            "kernel_initializer": keras_objects.config(self.kernel_initializer),
            "bias_initializer": keras_objects.config(self.bias_initializer),
        }
