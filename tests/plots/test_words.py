import math

import numpy as np
import pytest

from tests.ledger_rows import made_row
from wdattn.plots import words


@pytest.mark.parametrize(
    "value, text",
    [
        (1063.4, "1060"),
        (99.96, "100"),
        (9.996, "10.0"),
        (0.0003456, "0.000346"),
        (1.5e-9, "1.50e-09"),
        (2.5e8, "2.50e+08"),
        (0.0, "0"),
        (-3.14159, "-3.14"),
        (math.inf, "inf"),
        (math.nan, "none"),
        (None, "none"),
    ],
)
def test_three_digits_without_an_exponent_where_it_stays_short(value, text):
    assert words.significant(value) == text


def test_a_log_ratio_is_read_as_a_factor():
    assert words.effect(math.log(12.1), "log ratio") == "×12.1"
    assert words.effect(math.log(0.5), "log ratio") == "×0.50"
    assert words.effect(-0.62, "slope") == "−0.62"


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_not_finite_is_called_none(value):
    assert words.effect(value, "log ratio") == "none"


def test_a_factor_too_large_for_a_float_is_no_error():
    assert words.effect(800.0, "log ratio") == "×inf"


def test_an_interval_without_an_end_is_none():
    assert words.interval([math.log(2), math.log(3)], "log ratio") == "[2.00, 3.00]"
    assert words.interval(None) == words.interval([None, 1.0]) == "no interval"


def test_seeds_are_ranges():
    assert words.seeds(range(100, 106)) == "100–105"
    assert words.seeds(np.array([3, 1, 5, 4])) == "1, 3–5"


def row(backend="jax", **changes):
    return made_row(**{"backend": backend, "seeds": (0, 1)} | changes)


def test_runs_are_named_by_what_tells_them_apart():
    assert words.run_names([row(), row("torch")]) == ["jax", "torch"]
    assert words.run_names([row(), row(scale="paper")]) == ["jax, laptop", "jax, paper"]
    assert words.run_names([row(), row(seeds=(7,))]) == ["jax, seeds 0–1", "jax, seeds 7"]
    assert words.run_names([row(), row(seeds=(7,), claim="C2")]) == ["jax", "jax"]
