import keras
import numpy as np
import pytest
from keras import ops

from wdattn.layers import PatchEmbedding


def literal(images, kernel, bias, rows, columns):
    """Patch by patch, row by row."""
    found = [
        images[:, top : top + rows, left : left + columns].reshape(len(images), -1) @ kernel + bias
        for top in range(0, images.shape[1], rows)
        for left in range(0, images.shape[2], columns)
    ]
    return np.stack(found, axis=1)


@pytest.mark.parametrize("patch_size", [2, (2, 3), (4, 6), 1], ids=str)
def test_equals_the_literal_form(rng, patch_size):
    images = rng.normal(size=(2, 4, 6, 3))
    layer = PatchEmbedding(patch_size, 5, dtype="float64")
    layer.build(images.shape)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    wanted = literal(images, *layer.get_weights(), *np.broadcast_to(patch_size, 2))
    np.testing.assert_allclose(ops.convert_to_numpy(layer(images)), wanted, rtol=1e-10, atol=1e-12)


def test_is_a_convolution_with_its_kernel_reshaped(rng):
    images = rng.normal(size=(2, 4, 6, 3)).astype("float32")
    convolution = keras.layers.Conv2D(5, (2, 3), (2, 3), data_format="channels_last")
    wanted = ops.convert_to_numpy(convolution(images)).reshape(2, 4, 5)
    layer = PatchEmbedding((2, 3), 5, name="patches")
    layer.build(images.shape)
    kernel, bias = convolution.get_weights()
    layer.set_weights([kernel.reshape(-1, 5), bias])
    np.testing.assert_allclose(ops.convert_to_numpy(layer(images)), wanted, rtol=0, atol=1e-5)
    assert layer.weights[0].path == "patches/projection/kernel"


def test_images_of_any_size(rng):
    inputs = keras.Input((None, None, 3))
    layer = PatchEmbedding(2, 5)
    model = keras.Model(inputs, layer(inputs))
    assert model.output.shape == (None, None, 5)
    for height, width in ((2, 4), (6, 2)):
        images = rng.normal(size=(2, height, width, 3)).astype("float32")
        wanted = literal(images, *layer.get_weights(), 2, 2)
        np.testing.assert_allclose(model.predict(images, verbose=0), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 4, 6), (2, 5, 6, 3), (2, 4, 5, 3), (2, 0, 6, 3)], ids=str)
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match="`inputs` must be .* multiples of"):
        PatchEmbedding(2, 5)(np.ones(shape, "float32"))
