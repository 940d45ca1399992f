"""The one step that `fit` and the replicas take: pure functions of an `Update` and tensors."""

from collections.abc import Mapping
from typing import Any

from keras import ops

from wdattn.optimizers.coupling import COUPLINGS
from wdattn.optimizers.knob import Knob
from wdattn.optimizers.layout import Layout
from wdattn.optimizers.update import Update
from wdattn.optimizers.update_rules import clip_by_global_norm, norm
from wdattn.schedules.schedule import Foreign

__all__ = ["averaged", "move", "scalars", "step"]


def step(
    update: Update,
    layout: Layout,
    row: Any,
    gradient: Any,
    slots: tuple[Any, ...],
    count: Any,
    knobs: Mapping[str, Any],
) -> tuple[Any, tuple[Any, ...]]:
    """The weights of one run one step on, and what is kept of them.

    Args:
        update: what the step is.
        layout: of the row.
        row: `(entries,)` tensor. All trainable parameters.
        gradient: `(entries,)` tensor.
        slots: `update.slots` tensors like `row`, 0 at the start; the average is the last.
        count: scalar tensor, the number of this step, from 1, in the dtype of `row`.
        knobs: name to scalar tensor in the dtype of `row`.

    Returns:
        `(row, slots)`.
    """
    numbers = scalars(update, count - 1, knobs, row.dtype)
    rules = update.decay_rules.match(layout.paths, strict=False)
    if update.clipnorm is not None:
        (gradient,) = clip_by_global_norm([gradient], numbers["clipnorm"])
    if update.effective_rate:
        decayed = layout.spread([rule[1] != 0 for rule in rules])
        length = norm([row * ops.convert_to_tensor(decayed, row.dtype)])
        numbers["learning_rate"] = numbers["learning_rate"] * length
    own, averages = slots[: update.rule.slots], slots[update.rule.slots :]
    if hasattr(update.rule, "of"):
        after, own = _by_variable(update, layout, row, gradient, own, count, numbers, rules, knobs)
    else:
        rate, decay = (
            numbers[name] * _spread(layout, [rule[place] for rule in rules], knobs, row.dtype)
            for name, place in (("learning_rate", 2), ("weight_decay", 1))
        )
        relative = numbers["relative"]
        after, own = move(update, update.rule, row, gradient, own, count, rate, relative, decay)
    if update.after is not None:
        cut = layout.cut(after)
        after = layout.join({**cut, **update.after(cut, knobs)})
    if averages:
        averages = (averaged(*averages, after, count, numbers["average"]),)
    return after, (*own, *averages)


def _by_variable(update, layout, row, gradient, slots, count, numbers, rules, knobs):
    """`move` for a rule that looks at whole matrices."""
    rows = [layout.cut(one) for one in (row, gradient, *slots)]
    moved = {}
    for path, rule in zip(layout.paths, rules, strict=True):
        parameter, slope, *kept = (one[path] for one in rows)
        by_decay, by_rate = (_value(value, None, knobs) for value in rule[1:3])
        direction = update.rule.of(path, parameter.shape)
        parameter, kept[: direction.slots] = move(
            update,
            direction,
            parameter,
            slope,
            tuple(kept[: direction.slots]),
            count,
            numbers["learning_rate"] * by_rate,
            numbers["relative"],
            numbers["weight_decay"] * by_decay,
        )
        moved[path] = parameter, *kept
    row, *slots = (
        layout.join({path: parts[place] for path, parts in moved.items()})
        for place in range(1 + len(slots))
    )
    return row, tuple(slots)


def scalars(update: Update, step: Any, knobs: Mapping[str, Any], dtype: Any) -> dict[str, Any]:
    """The numbers of a step, each evaluated once.

    Args:
        update: what the step is.
        step: scalar tensor, the steps taken before.
        knobs: name to scalar tensor.
        dtype: of the numbers that schedules give.

    Returns:
        Name of a field to number or scalar tensor; `relative` is η_t/η_peak.
    """
    names = ("learning_rate", "weight_decay", "clipnorm", "average")
    values = {name: _value(getattr(update, name), step, knobs, dtype) for name in names}
    peak = _value(update.peak, step, knobs)
    needed = COUPLINGS[update.coupling].needs_peak
    return {**values, "relative": values["learning_rate"] / peak if needed else 1.0}


def move(update, rule, parameter, gradient, slots, count, rate, relative, decay):
    """One variable, or a row, one step on: entry by entry where the rule is.

    Args:
        update: what the step is.
        rule: update rule.
        parameter: tensor.
        gradient: like `parameter`, clipped.
        slots: of the rule.
        count: scalar tensor, the number of this step, from 1.
        rate: number or tensor that broadcasts. η_t of these entries.
        relative: number or scalar tensor. η_t/η_peak.
        decay: number or tensor that broadcasts. λ_t of these entries; the number 0.0 is left
            out of the computation.

    Returns:
        `(parameter, slots)`.
    """
    decays = not (isinstance(decay, float) and decay == 0)
    removed = COUPLINGS[update.coupling].removed
    if decays and removed is None:
        gradient = gradient + decay * parameter
    direction, slots = rule(gradient, slots, count)
    if decays and removed is not None:
        taken = removed(rate, relative, decay) * parameter
        if update.cautious:
            taken = ops.where(direction * parameter >= 0, taken, ops.zeros_like(taken))
        parameter = parameter - taken
    return parameter - rate * direction, slots


def averaged(average, parameter, count, momentum):
    """The moving average one step on, which the first step starts.

    Args:
        average: tensor.
        parameter: like `average`, the new weights.
        count: scalar tensor, the number of this step, from 1.
        momentum: number or scalar tensor, μ.

    Returns:
        Tensor like `average`.
    """
    # Not `cast`, which on TensorFlow takes a number for a float32.
    momentum = ops.where(count > 1, ops.convert_to_tensor(momentum, average.dtype), 0)
    return momentum * average + (1 - momentum) * parameter


def _value(source, step, knobs, dtype=None):
    """A number, a knob's value, or a schedule's at this step."""
    if isinstance(source, Knob):
        return knobs[source.name]
    return ops.cast(source(step), dtype) if isinstance(source, Foreign) else source


def _spread(layout, values, knobs, dtype):
    """One multiplier for each entry of a row, or one for all."""
    if len(set(values)) == 1:
        return _value(values[0], None, knobs)
    if not any(isinstance(value, Knob) for value in values):
        return ops.convert_to_tensor(layout.spread(values), dtype)
    distinct = list(dict.fromkeys(values))
    given = [_value(value, None, knobs) for value in distinct]
    numbers = ops.stack([ops.convert_to_tensor(value, dtype) for value in given])
    return ops.take(numbers, layout.spread([distinct.index(value) for value in values]))
