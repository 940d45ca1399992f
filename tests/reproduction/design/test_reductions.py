"""Reductions say what they read; a run that skipped many steps counts as none."""

import math

import numpy as np
import pytest

from wdattn.reproduction import Record, few_skipped, final, reads
from wdattn.reproduction.design.reductions import columns_of


@few_skipped(0.25)
@reads("height")
def height(run):
    """Its mean."""
    return run["height"].mean()


@pytest.fixture
def record(toy):
    def make(values, skipped=0):
        values = np.asarray(values, "float64")
        columns = {"height": (np.arange(len(values)), values)}
        return Record(toy(steps=20), columns | {"skipped": (np.array([20]), np.array([skipped]))})

    return make


@pytest.mark.parametrize(("skipped", "counts"), [(0, True), (5, True), (6, False), (20, False)])
def test_a_run_that_skipped_more_than_its_share_is_no_number(record, skipped, counts):
    found = height(record([1.0, 3.0], skipped))  # 5 of 20 steps are the share
    assert found == 2 if counts else math.isnan(found)
    assert height.of_any_run(record([1.0, 3.0], skipped)) == 2


def test_a_guarded_reduction_reads_what_was_skipped_too():
    assert columns_of(height) == ("height", "skipped")
    assert columns_of(height.of_any_run) == ("height",)
    assert height.__doc__ == "Its mean." and height.__name__ == "height"


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan, "many"])
def test_a_share_is_a_share(share):
    with pytest.raises(ValueError, match="`share` must be"):
        few_skipped(share)


def test_final_is_the_last_value(record):
    assert final("height")(record([1.0, 3.0, -2.0])) == -2
    assert columns_of(final("height")) == ("height",)
    with pytest.raises(ValueError, match=r"one number a time, 'height' has \(2,\)"):
        final("height")(record([[1.0, 2.0]]))
