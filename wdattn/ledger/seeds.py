"""Seeds that a caller or a file names, checked before anything is made of them."""

import itertools
import operator
import reprlib
from typing import Any

from wdattn.arguments import is_integer

MOST = 10_000
"""How many seeds a call may name."""


def checked_seeds(seeds: Any) -> tuple[int, ...]:
    """Seeds as a tuple; an int n stands for 0 ... n - 1.

    Args:
        seeds: int in [1, `MOST`], or up to `MOST` different ints in [0, 2^32).

    Raises:
        ValueError: if they are anything else. A longer list is not read to its end.

    Examples:
        >>> checked_seeds(3), checked_seeds(range(100, 102))
        ((0, 1, 2), (100, 101))
    """
    try:
        given = range(operator.index(seeds)) if is_integer(seeds) else seeds
        chosen = tuple(itertools.islice(given, MOST + 1))
    except TypeError:
        chosen = ()
    fit = all(is_integer(seed) and 0 <= seed < 2**32 for seed in chosen)
    if not fit or not 1 <= len(set(chosen)) == len(chosen) <= MOST:
        raise ValueError(
            f"`seeds` must be an int in [1, {MOST}] or up to {MOST} different ints in [0, 2^32), "
            f"got {reprlib.repr(seeds)}"
        )
    return tuple(map(operator.index, chosen))
