"""The length of the loss's gradient."""

from typing import Any

import keras
import numpy as np

from wdattn.diagnostics.objective import Loss, derivatives


def gradient_norm(model: keras.Model, x: Any, y: Any, loss: Loss = None) -> float:
    r"""The Euclidean norm of the loss's gradient over all trainable variables.

    $$\|\nabla f(\theta)\|_2$$

    In inference mode (`training=False`: no dropout, moving batch statistics), without clipping.

    Args:
        model: a built Keras model; nothing in it changes.
        x: inputs the model takes: an array, or a list, tuple or dict of them.
        y: targets the loss takes.
        loss: None for the model's compiled loss, the name of a Keras loss, or a callable
            `loss(y_true, y_pred)`, the same object each time, or it is compiled anew.

    Returns:
        float >= 0; NaN or inf where the gradient is not finite.

    Raises:
        ValueError: if the model is not built, has no trainable variables or no loss.
    """
    return float(np.linalg.norm(derivatives(model, loss, x, y).gradient(x, y)))
