"""Keras objects as arguments of layers: each function gives what Keras makes of an argument, or
raises a `ValueError` that names the argument, the value and what is allowed. And `projection`, the
one part that most layers are made of.
"""

import keras

from wdattn.initializers.seeded import Seeded


def initializer(name, given):
    """A Keras initializer, from what Keras takes for one."""
    found = _from_keras(name, given, keras.initializers.get, "an initializer, its name or config")
    if found is None:
        raise ValueError(f"`{name}` must be an initializer, its name or config, got None")
    return found


def regularizer(name, given):
    """A Keras regularizer or None, from what Keras takes for one."""
    allowed = "None, a regularizer, its name or config"
    return _from_keras(name, given, keras.regularizers.get, allowed)


def constraint(name, given):
    """A Keras constraint or None, from what Keras takes for one."""
    return _from_keras(name, given, keras.constraints.get, "None, a constraint, its name or config")


def layer(name, given, dtype, named=None):
    """A layer: as given, from its config, or from what makes one when called with name and dtype.

    A layer that is made here bears the name `named`, else the argument's: its paths are fixed.
    """
    allowed = f"`{name}` must be a layer, a layer's config, or a callable that makes a layer"
    found = given
    if isinstance(given, dict):
        found = _from_keras(name, given, keras.layers.deserialize, "a layer or its config")
    elif callable(given) and not isinstance(given, keras.layers.Layer):
        try:
            found = given(name=named or name, dtype=dtype)
        except TypeError as error:
            raise ValueError(f"{allowed} from `name` and `dtype`, got {given!r}") from error
    if not isinstance(found, keras.layers.Layer):
        raise ValueError(f"{allowed} from `name` and `dtype`, got {given!r}")
    return found


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


def config(given):
    """The config of a Keras object, of each in a list, or None, as `get_config` gives it on."""
    if given is None:
        return None
    if isinstance(given, list | tuple):
        return [config(one) for one in given]
    found = keras.saving.serialize_keras_object(given)
    # With it Keras would build the layer on loading, before its owner does, under another path.
    return {name: value for name, value in found.items() if name != "build_config"}


def fresh(initializer, *place):
    """A copy for another variable. Those of `wdattn.initializers` draw by place: no two are one."""
    return initializer.at(*place) if isinstance(initializer, Seeded) else initializer.clone()


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


def _from_keras(name, given, get, allowed):
    try:
        return get(given)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"`{name}` must be {allowed}, got {given!r}") from error
