"""Our weight decay on any Keras optimizer."""

import inspect
from functools import cache

import keras

from wdattn.optimizers.weight_decay import WeightDecay

__all__ = ["with_weight_decay"]

_REFUSED = {
    "Ftrl": "its weights are made anew from its accumulators at each step",
    "ScheduleFreeAdamW": "its weights are pulled back to the averages that it keeps",
    "LossScaleOptimizer": "it wraps another optimizer, and decay belongs to that one",
    "MultiOptimizer": "it wraps other optimizers, and decay belongs to those",
}


def with_weight_decay(optimizer):
    """A class like a Keras optimizer's, with the weight decay of `AdamW` instead of its own.

    It takes the optimizer's own arguments, and by name `weight_decay`, which must be given,
    `coupling`, `decay_rules`, `peak_learning_rate` and `effective_rate`. To load a model that was
    saved with it, import `wdattn.optimizers`; for a class of your own, call this function first.

    Args:
        optimizer: subclass of `keras.optimizers.Optimizer`.

    Returns:
        A subclass of `optimizer`.

    Raises:
        ValueError: if that is no optimizer class, or one whose steps leave no room for a decay.

    Examples:
        >>> import keras
        >>> LionW = with_weight_decay(keras.optimizers.Lion)
        >>> LionW(3e-4, weight_decay=0.1, decay_rules="no_bias_norm").decay_rules
        'no_bias_norm'
    """
    if not (isinstance(optimizer, type) and issubclass(optimizer, keras.optimizers.Optimizer)):
        raise ValueError(
            f"`optimizer` must be a class of `keras.optimizers.Optimizer`, got {optimizer!r}"
        )
    for base in optimizer.__mro__:
        if base.__name__ in _REFUSED:
            raise ValueError(
                f"`optimizer` must leave its weights to the decay, got {base.__name__}: "
                f"{_REFUSED[base.__name__]}"
            )
    return _made(optimizer)


@cache
def _made(optimizer):
    name = f"{optimizer.__name__}WithWeightDecay"
    doc = {"__doc__": f"{name}: see `with_weight_decay`."}
    made = type(name, (_Picklable, WeightDecay, optimizer), doc)
    registered = keras.saving.get_registered_name(optimizer).replace(">", ".")
    return keras.saving.register_keras_serializable("wdattn", f"{registered}WithWeightDecay")(made)


class _Picklable:
    """No module holds these classes, so pickle keeps the class of which each was made."""

    def __reduce__(self):
        loaded, arguments = super().__reduce__()
        return _unpickled, (type(self).__bases__[-1], loaded.__name__, *arguments)


def _unpickled(optimizer, loaded, *arguments):
    return getattr(with_weight_decay(optimizer), loaded)(*arguments)


# Keras's own, so that a model saved with one of these loads once this module is imported.
for _, _own in inspect.getmembers(keras.optimizers, inspect.isclass):
    if (
        issubclass(_own, keras.optimizers.Optimizer)
        and _own is not keras.optimizers.Optimizer
        and _own.__name__ not in _REFUSED
    ):
        with_weight_decay(_own)
