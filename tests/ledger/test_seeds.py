"""Seeds that a caller names."""

import itertools
import re

import numpy as np
import pytest

from wdattn.ledger.seeds import MOST, checked_seeds


def test_seed_lists():
    assert checked_seeds(3) == (0, 1, 2)
    assert checked_seeds(np.int64(2)) == (0, 1)
    assert checked_seeds(range(100, 103)) == (100, 101, 102)
    assert checked_seeds(np.array([7, 5])) == (7, 5)
    assert all(type(seed) is int for seed in checked_seeds(np.array([7, 5])))
    assert len(checked_seeds(MOST)) == MOST


@pytest.mark.parametrize(
    "seeds",
    [0, -1, (), range(5, 5), (1, 1), (-1, 1), (0.5, 1), (True,), 2.5, "abc", None, MOST + 1,
     10**9, range(10**9), (2**32,), 10**30, itertools.count()],
)  # fmt: skip
def test_what_are_no_seeds_is_refused_at_once(seeds):
    told = f"`seeds` must be an int in [1, {MOST}] or up to {MOST} different ints in [0, 2^32)"
    with pytest.raises(ValueError, match=re.escape(told)):
        checked_seeds(seeds)
