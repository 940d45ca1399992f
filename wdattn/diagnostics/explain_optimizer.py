"""What an optimizer really decays, and the traps in how it was set up."""

import html
import re
from dataclasses import dataclass

import keras
from keras import ops

from wdattn.optimizers import DecayRow, DecayTable
from wdattn.optimizers.decay_rules import BIAS_OR_NORM
from wdattn.optimizers.stock import (
    excluded_by,
    exclusion_patterns,
    judged_name,
    optimizer_of,
    unwrapped,
)
from wdattn.optimizers.weight_decay import WeightDecay

# Shares that a weight of this type rounds away: half of the distance between 1 and the number
# below it.
_LOST = {"bfloat16": 2.0**-9, "float16": 2.0**-12}


@dataclass(frozen=True, repr=False)
class OptimizerReport:
    """What an optimizer does to the weights of a model.

    Args:
        table: a row for each trained variable.
        warnings: sentences, one for each trap that was found.
    """

    table: DecayTable
    warnings: tuple[str, ...]

    def __repr__(self):
        return "\n".join([repr(self.table), *(f"! {line}" for line in self.warnings)])

    def _repr_html_(self):
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in self.warnings)
        return f"{self.table._repr_html_()}<ul>{lines}</ul>" if lines else self.table._repr_html_()


def explain_optimizer(optimizer: keras.optimizers.Optimizer, model: keras.Model) -> OptimizerReport:
    """Which variables an optimizer decays and how much, with warnings of what is easily missed.

    It reads the optimizer as it stands: built or not, stock or ours, under loss scaling, or several
    in a `keras.optimizers.MultiOptimizer`. Keras keeps only the last call of
    `exclude_from_weight_decay`, so that earlier calls can be guessed at, not seen.

    Args:
        optimizer: any Keras optimizer.
        model: built model whose trainable variables it moves; nothing in it changes.

    Returns:
        `OptimizerReport`.

    Raises:
        ValueError: if `optimizer` is no Keras optimizer, the model has no trainable variable, or
            our own rules do not fit the model.
    """
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(f"`optimizer` must be a Keras optimizer, got {optimizer!r}")
    if not (isinstance(model, keras.Model) and model.trainable_variables):
        raise ValueError(f"`model` must be a built model with trainable variables, got {model!r}")
    inner = unwrapped(optimizer)
    if isinstance(inner, WeightDecay):
        table = inner.decay_table(model)
    else:
        rows = [_row(optimizer_of(inner, v), v) for v in model.trainable_variables]
        table = DecayTable(rows, "decoupled")
    warnings = [line for trap in _TRAPS for line in trap(inner, model, table)]
    return OptimizerReport(table, tuple(warnings))


def _row(optimizer, variable):
    excluded = excluded_by(optimizer, variable)
    decay = optimizer.weight_decay
    rate, step = float(ops.convert_to_numpy(optimizer.learning_rate)), optimizer.iterations
    decay = 0.0 if excluded or decay is None else float(ops.convert_to_numpy(decay))
    rule = excluded or ("all" if optimizer.weight_decay is not None else "no weight_decay")
    step = int(ops.convert_to_numpy(step))
    shape = tuple(variable.shape)
    return DecayRow(variable.path, shape, rule, decay, rate, rate * decay, step)


def _parts(optimizer, model):
    """The optimizers that move something, once each."""
    return list({id(o): o for v in model.trainable_variables for o in [optimizer_of(optimizer, v)]}
                .values())  # fmt: skip


def _stock(optimizer, model):
    return [o for o in _parts(optimizer, model) if not isinstance(o, WeightDecay)]


def _nothing_decays(optimizer, model, table):
    if table and not any(row.decay for row in table):
        yield "nothing decays: `weight_decay` is not set, or is 0 for every variable"


def _decayed_biases_and_norms(table):
    return [row.path for row in table if row.decay and re.search(BIAS_OR_NORM, row.path)]


def _biases_and_norms(optimizer, model, table):
    if paths := _decayed_biases_and_norms(table):
        yield f"biases and gains of norms decay, which recipes leave out: {_listed(paths)}"


def _idle_patterns(optimizer, model, table):
    for part in _stock(optimizer, model):
        variables = model.trainable_variables
        for pattern in exclusion_patterns(part):
            if any(re.search(pattern, name) for name in map(judged_name, variables)):
                continue
            paths = [v.path for v in variables if re.search(pattern, v.path)]
            why = f", though it is in the paths of {_listed(paths)}" if paths else ""
            yield (
                f"the excluded name {pattern!r} matches nothing{why}: on this backend Keras "
                f"compares it with names such as {judged_name(variables[0])!r}"
            )


def _last_call_counts(optimizer, model, table):
    kinds = sorted({path.rsplit("/", 1)[-1] for path in _decayed_biases_and_norms(table)})
    for part in _stock(optimizer, model):
        patterns = exclusion_patterns(part)
        if patterns and kinds:
            yield (
                f"only {', '.join(map(repr, patterns))} is excluded, and {', '.join(kinds)} "
                "decay: of several calls of `exclude_from_weight_decay` only the last counts, and "
                "none is saved with the model"
            )


def _several_optimizers(optimizer, model, table):
    if isinstance(optimizer, keras.optimizers.MultiOptimizer) and any(
        part.global_clipnorm for part in _parts(optimizer, model)
    ):
        yield (
            "`global_clipnorm` inside of a MultiOptimizer is the norm of each part alone, not of "
            "all gradients"
        )


def _too_small(optimizer, model, table):
    kept = {id(o) for o in _parts(optimizer, model) if isinstance(o, WeightDecay)}
    paths = [
        row.path
        for row, variable in zip(table, model.trainable_variables, strict=True)
        if id(optimizer_of(optimizer, variable)) not in kept
        and 0 < row.removed < _LOST.get(variable.dtype, 0)
    ]
    if paths:
        yield (
            "the decay of a step is less than these weights' type can hold, so that it does "
            f"nothing: {_listed(paths)}"
        )


_TRAPS = (
    _nothing_decays,
    _biases_and_norms,
    _idle_patterns,
    _last_call_counts,
    _several_optimizers,
    _too_small,
)


def _listed(paths):
    shown = ", ".join(paths[:3])
    return f"{shown} and {len(paths) - 3} more" if len(paths) > 3 else shown
