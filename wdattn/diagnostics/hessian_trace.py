"""The trace of the loss's Hessian, in whole and by layer, from random probes."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from wdattn import arguments
from wdattn.diagnostics.groups import Groups, group_of_each, sums
from wdattn.diagnostics.objective import Loss, derivatives


@dataclass(frozen=True)
class HessianTrace:
    """An estimate of the trace, of the whole Hessian and of its diagonal blocks.

    Args:
        value: float, the mean over the probes; not finite if a product is not.
        standard_error: float >= 0, of `value`: the probes' standard deviation over the root of
            their number.
        by_group: a group's name to the trace of its diagonal block; they add up to `value`.
        standard_error_by_group: the same names to the standard errors.
    """

    value: float
    standard_error: float
    by_group: dict[str, float]
    standard_error_by_group: dict[str, float]


def hessian_trace(
    model: keras.Model,
    x: Any,
    y: Any,
    loss: Loss = None,
    probes: int = 100,
    seed: int = 0,
    groups: Groups = None,
) -> HessianTrace:
    r"""The trace of the loss's Hessian at the model's weights, by Hutchinson's estimator.

    $$\operatorname{tr} \nabla^2 f(\theta) = \mathbb{E}\, v^\top \nabla^2 f(\theta)\, v,
    \qquad v_i = \pm 1$$

    Hutchinson (1990), with Rademacher probes, whose variance is twice the sum of the squared
    off-diagonal entries: the trace of a diagonal Hessian is exact. The sum over a group's entries
    of v times the product estimates the trace of the group's diagonal block, from the same
    products. In inference mode (`training=False`: no dropout, moving batch statistics). Costs a
    Hessian-vector product for each probe.

    Args:
        model: a built Keras model; nothing in it changes.
        x: inputs the model takes: an array, or a list, tuple or dict of them.
        y: targets the loss takes.
        loss: None for the model's compiled loss, the name of a Keras loss, or a callable
            `loss(y_true, y_pred)`, the same object each time, or it is compiled anew.
        probes: int >= 2. The error falls with its root.
        seed: int >= 0, of the probes.
        groups: None for a group a layer, the last part of a variable's path cut off; or a mapping
            from names to regular expressions, searched for in the paths, the first one of_loss.

    Returns:
        The trace with its standard error.

    Raises:
        ValueError: if the model is not built, has no trainable variables or no loss, `groups`
            leaves a variable out or holds an empty group, or an argument is not of this kind.
    """
    probes = arguments.integer("probes", probes, least=2)
    seed = arguments.integer("seed", seed, least=0)
    of_loss = derivatives(model, loss, x, y)
    names = group_of_each(of_loss.variables, groups)
    sizes = [int(np.prod(variable.shape)) for variable in of_loss.variables]
    rng = np.random.default_rng(seed)
    draws: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(probes):
        probe = rng.choice([-1.0, 1.0], of_loss.size)
        for name, total in sums(probe * of_loss.product(probe, x, y), sizes, names).items():
            draws[name].append(float(total))
    blocks = np.array(list(draws.values()))
    whole = blocks.sum(0)
    return HessianTrace(
        float(whole.mean()),
        _standard_error(whole),
        {name: float(block.mean()) for name, block in zip(draws, blocks, strict=True)},
        {name: _standard_error(block) for name, block in zip(draws, blocks, strict=True)},
    )


def _standard_error(draws: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        return float(draws.std(ddof=1) / len(draws) ** 0.5)
