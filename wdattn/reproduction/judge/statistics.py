"""Intervals over seeds."""

import numpy as np
from scipy import special  # `scipy.stats` takes half a second to import

from wdattn import arguments


def t_interval(values, level: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean of independent draws.

    With five seeds a percentile bootstrap called 95 % covers 83 %; this one covers 95 %.

    Args:
        values: `(seeds,)` finite floats, at least two.
        level: coverage, in (0, 1).

    Returns:
        Lower and upper end.

    Raises:
        ValueError: if there are fewer than two values, or `level` is outside (0, 1).

    Examples:
        >>> t_interval([1.0, 1.0, 1.0])
        (1.0, 1.0)
    """
    values = arguments.array("values", values, "seeds")
    level = arguments.real("level", level, above=0, below=1)
    if values.size < 2:
        raise ValueError(f"`values` must have at least 2 entries, got {values}")
    reach = special.stdtrit(values.size - 1, (1 + level) / 2) * values.std(ddof=1)
    reach /= np.sqrt(values.size)
    return float(values.mean() - reach), float(values.mean() + reach)


def least_squares_slope(x, y) -> float:
    """Slope of the least-squares line of `y` on `x`; NaN if an entry of either is not finite.

    `np.polyfit` raises there, and a run that diverged would take the whole ledger with it.

    Args:
        x: `(points,)` floats, not all equal.
        y: `(points,)` floats.

    Examples:
        >>> least_squares_slope([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
        2.0
    """
    x, y = np.asarray(x, "float64"), np.asarray(y, "float64")
    with np.errstate(all="ignore"):
        centred = x - x.mean()
        return float(centred @ (y - y.mean()) / (centred @ centred))
