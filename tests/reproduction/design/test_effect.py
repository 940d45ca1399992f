"""Effects combine one number an arm; a record shows what was asked for."""

import math

import numpy as np
import pytest

from wdattn.reproduction import Effect, Record, contrast, difference, reads, single, slope
from wdattn.reproduction.design.reductions import columns_of

PLAIN, FANCY = {"kind": "plain"}, {"kind": "fancy"}


@reads("height")
def height(run):
    return run["height"].mean()


@pytest.fixture
def records(toy):
    def make(*values):
        return [Record(toy(), {"height": (np.array([5]), np.array([v]))}) for v in values]

    return make


def test_reads_marks_a_reduction():
    assert columns_of(height) == ("height",)
    with pytest.raises(ValueError, match=r"max.* does not say what it @reads"):
        columns_of(max)
    with pytest.raises(ValueError, match="does not say what it @reads"):
        Effect(lambda run: 0, (PLAIN,), lambda value: value)


def test_effects(records):
    deep = [{"depth": depth} for depth in (2, 4, 8)]
    assert single(height, PLAIN).of(records(3.0)) == 3
    assert difference(height, PLAIN, minus=FANCY).of(records(3.0, 1.0)) == 2
    assert difference(height, PLAIN, minus=FANCY).arms == (PLAIN, FANCY)
    both = contrast(height, (1, PLAIN), (-0.5, FANCY), (2, {"depth": 3}))
    assert both.of(records(3.0, 1.0, 10.0)) == 22.5
    assert slope(height, "depth", deep).of(records(*(7 - 2 * math.log(d) for d in (2, 4, 8)))) == (
        pytest.approx(-2)
    )


def test_an_effect_of_what_is_not_finite_is_not_finite(records):
    deep = [{"depth": depth} for depth in (2, 4, 8)]
    assert math.isnan(difference(height, PLAIN, minus=FANCY).of(records(math.inf, math.inf)))
    assert math.isnan(contrast(height, (1, PLAIN), (0, FANCY)).of(records(1.0, math.nan)))
    assert math.isnan(slope(height, "depth", deep).of(records(1.0, math.nan, 2.0)))
    logs = Effect(reads("height")(lambda run: np.log(run["height"][0])), (PLAIN,), lambda v: v)
    assert logs.of(records(0.0)) == -math.inf  # and no warning


def test_no_arm_raises():
    with pytest.raises(ValueError, match="`arms` must name at least one arm"):
        Effect(height, (), lambda: 0)


def test_record_gives_values_and_steps(toy):
    record = Record(toy(), {"height": (np.array([2, 5]), np.array([1.0, 4.0]))})
    np.testing.assert_array_equal(record["height"], [1, 4])
    np.testing.assert_array_equal(record.steps("height"), [2, 5])
    with pytest.raises(KeyError, match="no column 'depth' in the record of .*; it has height"):
        record["depth"]
    with pytest.raises(KeyError, match="it has none"):
        Record(toy(), {}).steps("depth")


def test_a_record_shows_the_iterates_that_are_watched_alone(toy):
    columns = {
        "height": (np.array([2, 5, 9]), np.array([[1.0, 0.0], [4.0, 0.0], [9.0, 0.0]])),
        "width": (np.array([0]), np.array([3.0])),
    }
    shown = Record(toy(), columns, {"backend": "jax"}).watched({"height": [2, 9]})
    assert set(shown.columns) == {"height"}
    np.testing.assert_array_equal(shown["height"], [[1, 0], [9, 0]])
    np.testing.assert_array_equal(shown.steps("height"), [2, 9])
    assert shown.manifest == {"backend": "jax"}
    record = Record(toy(), columns)
    assert record.watched({"height": [2, 3]}) is None
    assert record.watched({"height": [2], "depth": [2]}) is None
