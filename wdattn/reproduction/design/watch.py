"""When a column is measured: functions from a run's number of steps to iterates."""

from collections.abc import Callable

from wdattn.arguments import integer, integers

LOSS, SKIPPED = "loss", "skipped"
"""Columns that need no measure: the loss of each batch, before the step it serves; and how many
steps were skipped so far, since their gradient was not finite (0 where a system does not skip)."""

When = Callable[[int], tuple[int, ...]]
"""Takes a run's number of steps and returns the iterates to look at, each in 0 ... steps."""


def at(*steps: int) -> When:
    """These iterates; iterate t is the one before step t, and iterate 0 is the start.

    Args:
        *steps: int >= 0, at least one.

    Raises:
        ValueError: if there is none, or one is negative.
    """
    chosen = integers("steps", steps)
    return lambda total: chosen


def every(interval: int) -> When:
    """Every `interval`-th iterate from the start, and the last one.

    No batch is drawn at the last one, so the loss has no value there.

    Args:
        interval: int >= 1.

    Raises:
        ValueError: if `interval` is below 1.
    """
    stride = integer("interval", interval)
    return lambda total: (*range(0, total, stride), total)


def last(count: int) -> When:
    """The iterates before the last `count` steps (all of them if the run is shorter).

    Args:
        count: int >= 1.

    Raises:
        ValueError: if `count` is below 1.
    """
    number = integer("count", count)
    return lambda total: tuple(range(max(0, total - number), total))


def end(total: int) -> tuple[int, ...]:
    """The last iterate.

    Args:
        total: int >= 0, the run's number of steps.
    """
    return (total,)
