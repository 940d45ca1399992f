"""What differs between the backends in what Keras hands to its optimizers."""

import keras

__all__ = ["dense", "judged_name"]

_TENSORFLOW = keras.backend.backend() == "tensorflow"


def judged_name(variable: keras.Variable) -> str:
    """The name to which `exclude_from_weight_decay` holds its patterns.

    On TensorFlow Keras hands its optimizer the `tf.Variable` inside, whose name is the whole path.

    Args:
        variable: of a model.

    Returns:
        `dense/kernel:0` on TensorFlow, where it is `kernel` on JAX and PyTorch.
    """
    return variable.value.name if _TENSORFLOW else variable.name


def dense(gradient):
    """A gradient as one tensor: TensorFlow hands over that of an embedding as slices.

    Args:
        gradient: tensor, variable or, on TensorFlow, `tf.IndexedSlices`.

    Returns:
        Tensor.
    """
    if _TENSORFLOW and hasattr(gradient, "dense_shape"):
        import tensorflow as tf

        return tf.convert_to_tensor(gradient)
    return keras.ops.convert_to_tensor(gradient)
