"""What a learning rate and a decay amount to beside weights of a given length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from wdattn import arguments
from wdattn.diagnostics.checks import built_model, flat_arrays
from wdattn.diagnostics.groups import Groups, group_of_each


@dataclass(frozen=True)
class EffectiveRate:
    """The effective rates of all trainable variables, or of a group of them.

    Args:
        rate: float, the learning rate.
        decay: float, the decay coefficient.
        rate_times_decay: float, their product: the share of the weights that a step takes away.
        norm: float >= 0, the Euclidean norm of the weights.
        over_norm: float, the rate over the norm; for steps whose length does not depend on the
            weights, as Adam's.
        over_squared_norm: float, the rate over the squared norm; for gradient descent on weights
            whose length does not change the outputs.
        rotation: float from 0 to pi, the angle in radians between the previous weights and these;
            NaN without previous ones.
        by_group: a group's name to its own effective rate.
    """

    rate: float
    decay: float
    rate_times_decay: float
    norm: float
    over_norm: float
    over_squared_norm: float
    rotation: float
    by_group: Mapping[str, "EffectiveRate"] = field(default_factory=dict)


def effective_rate(
    model: keras.Model,
    previous: Sequence[Any] | None = None,
    rate: float | None = None,
    decay: float | None = None,
    groups: Groups = None,
) -> EffectiveRate:
    r"""The learning rate relative to the weights, and the rotation of a step.

    $$\eta / \|\theta\|^2, \qquad \eta / \|\theta\|, \qquad \eta\lambda, \qquad
    \angle(\theta_{t-1}, \theta_t)$$

    d'Angelo et al. (2024) take the first for SGD and weights whose scale does not matter, the
    second for Adam, with the norm of the decayed weights: give those a group. Where the weights'
    scale does not matter, the equilibrium of growth and decay depends on $\eta\lambda$ alone.

    Args:
        model: a built Keras model, compiled unless `rate` is given; nothing in it changes.
        previous: None, or the weights of one step before: arrays shaped like the model's trainable
            variables, in their order. `wdattn.callbacks.Monitor` hands them over.
        rate: float >= 0, the learning rate; None for what the model's optimizer takes at its
            present step.
        decay: float >= 0, the decay coefficient that a step multiplies by the rate; None for the
            `weight_decay` of the model's optimizer, 0 if it has none.
        groups: None for a group a layer, the last part of a variable's path cut off; or a mapping
            from names to regular expressions, searched for in the paths, the first one found.

    Returns:
        The rates; inf where the weights are 0.

    Raises:
        ValueError: if the model is not built or not compiled, `previous` is not shaped like the
            variables, `groups` leaves a variable out or holds an empty group, or an argument is not
            of this kind.
    """
    variables = built_model(model).trainable_variables
    optimizer = getattr(model, "optimizer", None)
    if rate is None and optimizer is None:
        raise ValueError(f"`rate` is None and `model` {model.name!r} is not compiled: pass a rate")
    rate, decay = (
        _number(optimizer, setting) if given is None else arguments.real(name, given, least=0)
        for name, given, setting in (
            ("rate", rate, "learning_rate"),
            ("decay", decay, "weight_decay"),
        )
    )
    weights = flat_arrays("model", variables, variables)
    before = None if previous is None else flat_arrays("previous", previous, variables)
    names = group_of_each(variables, groups)

    def of(numbers: Sequence[int], by_group: Mapping[str, EffectiveRate]) -> EffectiveRate:
        now = np.concatenate([weights[number] for number in numbers])
        norm = np.linalg.norm(now)
        with np.errstate(divide="ignore", invalid="ignore"):
            over, over_squared = rate / norm, rate / norm**2
        old = now * np.nan if before is None else np.concatenate([before[i] for i in numbers])
        return EffectiveRate(
            rate,
            decay,
            rate * decay,
            float(norm),
            float(over),
            float(over_squared),
            _angle(old, now),
            by_group,
        )

    members = {name: [i for i, own in enumerate(names) if own == name] for name in names}
    by_group = {name: of(numbers, {}) for name, numbers in members.items()}
    return of(range(len(weights)), by_group)


def _number(optimizer: Any, name: str) -> float:
    """A setting of the optimizer at its present step; 0 for one that is not there or None."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a loss scale
    value = getattr(optimizer, name, None)
    if callable(value) and not isinstance(value, keras.Variable):
        value = value(optimizer.iterations)
    return 0.0 if value is None else float(keras.ops.convert_to_numpy(value))


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    """The angle between two vectors; the arc cosine would lose the small ones (Kahan 2006)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return float(2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b)))
