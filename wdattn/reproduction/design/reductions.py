"""From a run's record to one number: reductions, which say what they read."""

import functools
import math
from collections.abc import Callable

from wdattn.arguments import real, text
from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.watch import SKIPPED

Reduction = Callable[[Record], float]


def reads(*columns: str) -> Callable[[Reduction], Reduction]:
    """Says which columns a reduction looks at, so that only those are measured.

    Args:
        *columns: names of columns that the experiment watches.
    """

    def mark(reduction):
        reduction.columns = columns
        return reduction

    return mark


def columns_of(reduction: Reduction) -> tuple[str, ...]:
    """What `@reads` said of that reduction; a ValueError if it said nothing."""
    columns = getattr(reduction, "columns", None)
    if not columns:
        raise ValueError(f"reduction {reduction!r} does not say what it @reads")
    return columns


def few_skipped(share: float) -> Callable[[Reduction], Reduction]:
    """Makes a reduction NaN of a run that skipped more than `share` of its steps.

    A step is skipped where its gradient is not finite; a run that skips many of them is no longer
    that optimizer's run. It also reads the column "skipped". The reduction as it was is
    `of_any_run` of the new one.

    Args:
        share: float in [0, 1].
    """
    most = real("share", share, least=0, most=1)

    def guard(reduction):
        @reads(*columns_of(reduction), SKIPPED)
        @functools.wraps(reduction)
        def guarded(run):
            few = run[SKIPPED][-1] <= most * run.settings.steps
            return reduction(run) if few else math.nan

        guarded.of_any_run = reduction  # type: ignore[attr-defined]
        return guarded

    return guard


def final(column: str) -> Reduction:
    """The reduction to the last value of a column with one number a time.

    Args:
        column: one that the experiment watches.

    Raises:
        ValueError: if it is no str.
    """

    @reads(text("column", column))
    def last_value(run):
        values = run[column]
        if values.ndim != 1:
            raise ValueError(
                f"`column` must have one number a time, {column!r} has {values.shape[1:]}"
            )
        return float(values[-1])

    return last_value
