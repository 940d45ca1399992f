"""The projections of an attention layer, with the arguments that they share."""

import keras

from wdattn.layers import keras_objects


def projection(attention, name, equation, output_shape, input_shape, **kwargs):
    """An `EinsumDense` with the biases, initializers and the like of an attention layer, built.

    The output's axes that the kernel brings, the last letters of both, have a bias each.
    """
    kernel, output = equation.split(",")[1].split("->")
    dense = keras.layers.EinsumDense(
        equation,
        output_shape=output_shape,
        bias_axes="".join(axis for axis in output if axis in kernel)
        if attention.use_bias
        else None,
        kernel_initializer=keras_objects.fresh(
            attention.kernel_initializer, attention.path, name, "kernel"
        ),
        bias_initializer=keras_objects.fresh(
            attention.bias_initializer, attention.path, name, "bias"
        ),
        kernel_regularizer=attention.kernel_regularizer,
        bias_regularizer=attention.bias_regularizer,
        activity_regularizer=attention.projection_regularizer,
        kernel_constraint=attention.kernel_constraint,
        bias_constraint=attention.bias_constraint,
        name=name,
        dtype=attention.dtype_policy,
        **kwargs,
    )
    dense.supports_masking = True  # a token stays a token; Keras would warn
    dense.build(input_shape)
    return dense
