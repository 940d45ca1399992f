"""Keras objects as arguments of layers: each function gives what Keras makes of an argument, or
raises a `ValueError` that names the argument, the value and what is allowed. And `projection`, the
one part that most layers are made of.
"""

import math

import keras
from keras import ops

from wdattn import arguments
from wdattn.initializers.seeded import Seeded


def initializer(name, given):
    """A Keras initializer, from what Keras takes for one: a function, too."""
    allowed = "an initializer, its name or config, or a function"
    # Keras takes arrays as well, of which no config could be saved.
    if not isinstance(given, str | dict) and not callable(given):
        raise ValueError(f"`{name}` must be {allowed}, got {given!r}")
    return _from_keras(name, given, keras.initializers.get, allowed, keras.initializers.Initializer)


def regularizer(name, given):
    """A Keras regularizer or None, from what Keras takes for one."""
    allowed = "None, a regularizer, its name or config, or a function"
    return _from_keras(name, given, keras.regularizers.get, allowed, keras.regularizers.Regularizer)


def constraint(name, given):
    """A Keras constraint or None, from what Keras takes for one."""
    allowed = "None, a constraint, its name or config, or a function"
    return _from_keras(name, given, keras.constraints.get, allowed, keras.constraints.Constraint)


def layer(name, given, dtype, named=None):
    """A layer: as given, from its config, or from what makes one when called with name and dtype.

    A layer that is made here bears the name `named`, else the argument's: its paths are fixed.
    """
    allowed = f"`{name}` must be a layer, a layer's config, or a callable that makes a layer"
    made = given
    if isinstance(given, dict):
        made = _from_keras(name, given, keras.layers.deserialize, "a layer or its config")
    elif callable(given) and not isinstance(given, keras.layers.Layer):
        try:
            made = given(name=named or name, dtype=dtype)
        except TypeError as error:
            raise ValueError(f"{allowed} from `name` and `dtype`, got {given!r}") from error
    if not isinstance(made, keras.layers.Layer):
        raise ValueError(f"{allowed} from `name` and `dtype`, got {given!r}")
    return made


def layers_or_none(name, given, dtype):
    """None, or a list of layers, from one or several of what `layer` takes."""
    if given is None:
        return None
    if not isinstance(given, list | tuple):
        return [layer(name, given, dtype)]
    if not given:
        raise ValueError(
            f"`{name}` must be None, a layer, or a list of at least one, got {given!r}"
        )
    return [layer(name, one, dtype, f"{name}_{index}") for index, one in enumerate(given)]


def call_flag(name, given):
    """True or False; Keras' layers take 0 and 1 for them when they are called."""
    return arguments.flag(
        name, bool(given) if isinstance(given, int) and given in (0, 1) else given
    )


def config(given):
    """The config of a Keras object, of each in a list, or None, as `get_config` gives it on."""
    if given is None:
        return None
    if isinstance(given, list | tuple):
        return [config(one) for one in given]
    serialized = keras.saving.serialize_keras_object(given)
    if not isinstance(serialized, dict):  # the name of one of Keras' own functions
        return serialized
    # With it Keras would build the layer on loading, before its owner does, under another path.
    return {name: value for name, value in serialized.items() if name != "build_config"}


def from_keras_config(config, neutral):
    """A config of Keras' own layer without the arguments that ours does not have.

    Args:
        config: from `get_config` of Keras' layer, or of ours.
        neutral: what these arguments must be, by name: a tuple of values that change nothing.
    """
    for name, values in neutral.items():
        if name in config and config[name] not in values:
            allowed = " or ".join(map(repr, values))
            raise ValueError(f"`{name}` must be {allowed} here, got {config[name]!r}")
    return {name: value for name, value in config.items() if name not in neutral}


def fresh(initializer, *path):
    """A copy for another variable. Those of `wdattn.initializers` draw by path: no two are one."""
    if isinstance(initializer, Seeded):
        return initializer.at(*path)
    # A function has no state, and no copies.
    return (
        initializer.clone()
        if isinstance(initializer, keras.initializers.Initializer)
        else (initializer)
    )


def projection(owner, name, equation, sizes, input_shape, **kwargs):
    """An `EinsumDense` of a layer, built, with the initializers and the policy of that layer.

    Args:
        owner: a layer with `use_bias`, `kernel_initializer` and `bias_initializer`.
        name: str, of the projection in that layer.
        equation: as of `keras.layers.EinsumDense`, all axes written out: with an ellipsis Keras can
            neither quantize the projection nor, on TensorFlow, differentiate it fast.
        sizes: of the output's axes that the kernel brings, its last ones; each has a bias.
        input_shape: of what the projection is called on.
        **kwargs: more arguments of `keras.layers.EinsumDense`.
    """
    output = equation.partition("->")[2]
    dense = keras.layers.EinsumDense(  # `Dense` rounds float64 to float32 on PyTorch
        equation,
        output_shape=(None,) * (len(output) - 1 - len(sizes)) + tuple(sizes),
        bias_axes=output[-len(sizes) :] if owner.use_bias else None,
        kernel_initializer=fresh(owner.kernel_initializer, owner.path, name, "kernel"),
        bias_initializer=fresh(owner.bias_initializer, owner.path, name, "bias"),
        name=name,
        dtype=owner.dtype_policy,
        **kwargs,
    )
    dense.supports_masking = True  # a token stays a token; Keras would warn
    dense.build(input_shape)
    return dense


def float_kernel(dense):
    """The kernel of an `EinsumDense` in floats, also if it is quantized; LoRA is in it."""
    if dense.quantization_mode is None:
        return dense.kernel
    # Each mode has its own scales and layout: the projection of unit vectors is the kernel.
    inputs, kernel = dense.equation.partition("->")[0].split(",")
    sizes = [size for axis, size in zip(kernel, dense.kernel.shape, strict=True) if axis in inputs]
    width = math.prod(sizes)
    leading = (1,) * (len(inputs) - len(sizes) - 1)
    units = ops.reshape(ops.eye(width, dtype=dense.compute_dtype), (*leading, width, *sizes))
    outputs = dense(units, training=False)
    outputs = outputs if dense.bias is None else outputs - dense.bias
    return ops.reshape(outputs, (*sizes, *outputs.shape[len(leading) + 1 :]))


KINDS = (
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
    keras.layers.Layer,
)


def _from_keras(name, given, get, allowed, kind=keras.layers.Layer):
    try:
        made = get(given)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"`{name}` must be {allowed}, got {given!r}") from error
    if isinstance(made, KINDS) and not isinstance(made, kind):  # Keras takes whatever is callable
        raise ValueError(f"`{name}` must be {allowed}, got {given!r}")
    return made
