"""The kernel that a projection multiplies with: codes decoded, low-rank adaptation added."""

from collections.abc import Callable

import keras
import numpy as np


def effective_kernel(layer: keras.layers.Layer) -> np.ndarray:
    """A projection's kernel as the layer applies it, float64, on the axes of the layer's equation.

    In Keras' modes "int8", "int4", "gptq" and "awq" the stored kernel holds codes, which mean
    nothing without their scales. In "float8" it holds the weights themselves, which are rounded
    at each step. A LoRA update counts, times its `lora_alpha / lora_rank`.

    Args:
        layer: a built `Dense` or `EinsumDense`, or a layer with a `kernel` of its own.

    Returns:
        A copy.

    Raises:
        ValueError: if the layer is quantized in another mode.
    """
    mode = getattr(layer, "quantization_mode", None)
    if mode not in _DECODERS:
        known = ", ".join(map(str, _DECODERS))
        raise ValueError(
            f"{layer.path!r} must be quantized in one of the modes {known}, got {mode!r}"
        )
    if mode in ("gptq", "awq") and not getattr(layer, f"is_{mode}_calibrated"):
        mode = None  # until then Keras keeps the weights
    kernel = _DECODERS[mode](layer)
    if getattr(layer, "lora_enabled", False):
        update = host(layer.lora_kernel_a) @ host(layer.lora_kernel_b)
        kernel = kernel + layer.lora_alpha / layer.lora_rank * update
    return kernel


def host(weight) -> np.ndarray:
    """A weight as float64."""
    return np.asarray(keras.ops.convert_to_numpy(weight), "float64")


def _stored(layer) -> np.ndarray:
    # By its name: the attribute `kernel` has a LoRA update added already, to codes as well.
    named = [weight for weight in layer.weights if weight.name == "kernel"]
    return host(named[0] if named else layer.kernel)


def _int8(layer) -> np.ndarray:
    """One scale for each output unit, on the axes of the outputs."""
    codes, scale = _stored(layer), host(layer.kernel_scale)
    if isinstance(layer, keras.layers.EinsumDense):
        operands, outputs = layer.equation.replace(" ", "").split("->")
        axes = operands.split(",")[1]
        kept = [axis for axis in outputs if axis in axes]  # the others have size 1 in the scale
        scale = scale.reshape([codes.shape[axes.index(axis)] for axis in kept])
        scale = scale.transpose([kept.index(axis) for axis in axes if axis in kept])
        scale = scale.reshape(
            [size if axis in kept else 1 for axis, size in zip(axes, codes.shape, strict=True)]
        )
    return codes / scale


def _int4(layer) -> np.ndarray:
    """Two codes a byte, on a (rows, columns) view; a scale a column, or one a group of rows too."""
    scale = host(layer.kernel_scale)
    (packed,) = (weight for weight in layer.weights if weight.name == "kernel")
    codes = host(
        keras.quantizers.unpack_int4(keras.ops.convert_to_tensor(packed), scale.shape[-1], axis=-1)
    )
    if scale.ndim == 1:
        flat = codes / scale
    else:  # here, and here alone among the two, Keras multiplies by the scale
        groups = host(layer.g_idx).astype(int)
        flat = (codes - host(layer.kernel_zero)[groups]) * scale[groups]
    return flat.reshape(getattr(layer, "original_kernel_shape", flat.shape))


def _grouped(layer) -> np.ndarray:
    """Codes as (columns, rows), scale and zero a column and group of rows."""
    groups = host(layer.g_idx).astype(int)
    codes, scale, zero = map(host, (layer.kernel, layer.kernel_scale, layer.kernel_zero))
    flat = ((codes - zero[:, groups]) * scale[:, groups]).T
    if layer.quantization_mode == "awq":
        flat = flat / host(layer.awq_scales)[:, None]
    return flat.reshape(getattr(layer, "original_kernel_shape", flat.shape))


_DECODERS: dict[str | None, Callable[[keras.layers.Layer], np.ndarray]] = {
    None: _stored,
    "float8": _stored,
    "int8": _int8,
    "int4": _int4,
    "gptq": _grouped,
    "awq": _grouped,
}
