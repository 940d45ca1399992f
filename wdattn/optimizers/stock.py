"""What Keras's own optimizers decay."""

import re

import keras

from wdattn.backend.keras_optimizers import excluding, judged_name, optimizer_of

__all__ = ["excluded_by", "exclusion_patterns", "judged_name", "optimizer_of", "unwrapped"]


def unwrapped(optimizer):
    """The optimizer inside of a `LossScaleOptimizer`, or the optimizer itself."""
    while isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    return optimizer


def exclusion_patterns(optimizer) -> list[str]:
    """The `var_names` of the last call of `exclude_from_weight_decay`."""
    _, pattern = excluding(optimizer, None)
    return sorted(pattern.pattern.split("|")) if pattern else []


def excluded_by(optimizer, variable) -> str | None:
    """Why a stock optimizer leaves a variable out of its decay; None if it does not."""
    listed, pattern = excluding(optimizer, variable)
    if listed:
        return "excluded by var_list"
    if pattern is not None and pattern.search(judged_name(variable)):
        found = [p for p in exclusion_patterns(optimizer) if re.search(p, judged_name(variable))]
        return f"excluded by {', '.join(map(repr, found))}"
    return None
