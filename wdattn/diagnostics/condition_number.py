"""The robust condition number of the loss: how unlike the curvatures along the parameters are."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from wdattn.diagnostics.objective import Loss, derivatives


@dataclass(frozen=True)
class ConditionNumber:
    """The robust condition number and the Hessian's diagonal.

    Args:
        value: float >= 1, the largest |H_ii| over the lower median; inf if that median is 0, NaN if
            an entry is not finite or all are 0.
        diagonal: `(parameters,)` float64, H_ii with its sign, in the order of the trainable
            variables, each raveled.
    """

    value: float
    diagonal: np.ndarray


def condition_number(model: keras.Model, x: Any, y: Any, loss: Loss = None) -> ConditionNumber:
    r"""The robust condition number of the loss at the model's weights.

    $$R = \max_i |H_{ii}| \big/ \operatorname{median}_i |H_{ii}|$$

    Ahn et al. (2024), Section 3, with the diagonal in the place of the spectrum, as in their
    experiments. The median is the lower of the two middle entries (`torch.median`'s), and entries
    that are 0 because a parameter does not reach the output count. In inference mode
    (`training=False`: no dropout, moving batch statistics). Costs a Hessian-vector product for each
    parameter.

    Args:
        model: a built Keras model; nothing in it changes.
        x: inputs the model takes: an array, or a list, tuple or dict of them.
        y: targets the loss takes.
        loss: None for the model's compiled loss, the name of a Keras loss, or a callable
            `loss(y_true, y_pred)`, the same object each time, or it is compiled anew.

    Returns:
        The number and the diagonal.

    Raises:
        ValueError: if the model is not built, has no trainable variables or no loss.
    """
    of_loss = derivatives(model, loss, x, y)
    diagonal = np.concatenate([np.diagonal(rows, first) for first, rows in of_loss.rows(x, y)])
    return ConditionNumber(_spread(np.abs(diagonal)), diagonal)


def _spread(sizes: np.ndarray) -> float:
    """The largest entry over the lower median."""
    largest, median = sizes.max(), np.sort(sizes)[(len(sizes) - 1) // 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(largest / median)
