"""What Keras's own optimizers look at when they decide whether a variable decays."""

import keras

__all__ = ["judged_name"]


def judged_name(variable: keras.Variable) -> str:
    """The name to which `exclude_from_weight_decay` holds its patterns.

    On TensorFlow Keras hands its optimizer the `tf.Variable` inside, whose name is the whole path.

    Args:
        variable: of a model.

    Returns:
        `dense/kernel` on TensorFlow, where it is `kernel` on JAX and PyTorch.
    """
    if keras.backend.backend() == "tensorflow":
        return variable.value.name
    return variable.name
