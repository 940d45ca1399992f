"""A projection's kernel is what the layer itself multiplies its inputs with."""

import keras
import numpy as np
import pytest
from keras import layers, ops, quantizers

from wdattn.diagnostics.effective_kernel import effective_kernel

WIDTH = 10
# Layer, shape of its inputs; kernels whose first axis is not the one that is summed over, too.
PROJECTIONS = {
    "dense": (lambda **options: layers.Dense(7, **options), (5, WIDTH)),
    "heads": (
        lambda **options: layers.EinsumDense("abc,cde->abde", (None, 3, 4), **options),
        (2, 5, WIDTH),
    ),
    "join": (
        lambda **options: layers.EinsumDense("abcd,cde->abe", (None, 6), **options),
        (2, 5, 3, WIDTH),
    ),
    "transposed": (
        lambda **options: layers.EinsumDense("btd,ndh->btnh", (None, 3, 4), **options),
        (2, 5, WIDTH),
    ),
}
# Inputs stay floats, so that the outputs are those of the decoded kernel to round-off.
MODES = {
    "int8": quantizers.Int8QuantizationConfig(activation_quantizer=None),
    "int4": quantizers.Int4QuantizationConfig(activation_quantizer=None, block_size=-1),
    "int4 in blocks": quantizers.Int4QuantizationConfig(activation_quantizer=None, block_size=4),
}


def applied(layer, kernel, x):
    """The layer's output, with this kernel in place of its own."""
    equation = getattr(layer, "equation", "ab,bc->ac")
    return np.einsum(equation, x, kernel)


@pytest.fixture(params=PROJECTIONS)
def projection(request, rng):
    make, shape = PROJECTIONS[request.param]
    layer = make(name="projection", **({"bias_axes": None} if request.param != "dense" else
                                       {"use_bias": False}))  # fmt: skip
    layer.build(shape)
    # A large entry in each output unit makes the scales different from one another.
    kernel = rng.normal(size=layer.kernel.shape) * np.exp(rng.normal(size=layer.kernel.shape))
    layer.kernel.assign(kernel)
    return layer, rng.normal(size=shape).astype("float32")


def test_as_stored(projection):
    layer, x = projection
    kernel = effective_kernel(layer)
    assert kernel.dtype == "float64" and kernel.shape == tuple(layer.kernel.shape)
    np.testing.assert_array_equal(kernel, ops.convert_to_numpy(layer.kernel))
    expected = applied(layer, kernel, x)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_codes(projection, rng, mode, lora):
    layer, x = projection
    before = effective_kernel(layer)
    layer.quantize(mode.split()[0], config=MODES[mode])
    if lora:
        layer.enable_lora(2, lora_alpha=3)
        layer.lora_kernel_a.assign(rng.normal(size=layer.lora_kernel_a.shape))
        layer.lora_kernel_b.assign(rng.normal(size=layer.lora_kernel_b.shape))
    kernel = effective_kernel(layer)
    assert kernel.shape == before.shape
    if not lora:  # the nearest code
        steps = 7 if mode.startswith("int4") else 127
        assert np.abs(kernel - before).max() <= 1.01 * np.abs(before).max() / steps
    expected = applied(layer, kernel, x)
    size = np.abs(expected).max()
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=0, atol=1e-5 * size)


@pytest.mark.parametrize("mode", ["gptq/4/4", "gptq/8/4", "gptq/4/-1", "awq/4/4"])
@pytest.mark.parametrize("name", ["dense", "heads", "join"])
def test_codes_of_calibrated_modes(rng, name, mode):
    make, shape = PROJECTIONS[name]
    layer = make(dtype=f"{mode}_from_float32")
    layer.build(shape)
    kind, bits, _ = mode.split("/")
    for weight in layer.weights:
        if weight.dtype == "uint8":
            codes = 16 if "zero" in weight.path and bits == "4" else 256
            weight.assign(rng.integers(0, codes, weight.shape).astype("uint8"))
        elif "scale" in weight.path:
            weight.assign(rng.uniform(0.5, 2, weight.shape))
    groups = int(layer.kernel_scale.shape[1])
    layer.g_idx.assign(np.arange(layer.g_idx.shape[0]) * groups // layer.g_idx.shape[0])
    setattr(layer, f"is_{kind}_calibrated", True)
    x = rng.normal(size=shape).astype("float32")
    output = ops.convert_to_numpy(layer(x))
    if layer.bias is not None:
        output = output - ops.convert_to_numpy(layer.bias)
    expected = applied(layer, effective_kernel(layer), x)
    size = np.abs(expected).max()
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5 * size)


def test_float8_keeps_its_weights(projection):
    layer, _ = projection
    before = effective_kernel(layer)
    layer.quantize("float8")
    np.testing.assert_array_equal(effective_kernel(layer), before)


def test_a_mode_that_is_not_known(projection):
    layer, _ = projection
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(layer), "quantization_mode", "int2")
        with pytest.raises(ValueError, match="'projection' must be quantized in one of .*'int2'"):
            effective_kernel(layer)


def test_the_layer_stays_as_it_is(projection):
    layer, _ = projection
    layer.enable_lora(2)
    before = [np.array(ops.convert_to_numpy(weight)) for weight in layer.weights]
    effective_kernel(layer)[:] = 0
    for old, weight in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(old, ops.convert_to_numpy(weight))
    assert keras.backend.is_keras_tensor(layer.kernel) is False
