"""Ledger rows that were made up, and the toy paper's fixtures."""

from math import log

import pytest

from tests.toy_paper import experiment, finder, measures, paper, system, toy  # noqa: F401
from wdattn.ledger.report import FIELDS


@pytest.fixture
def part():
    """Makes a part of a row; `changes` replaces fields."""

    def make(**changes):
        own = {"label": "", "effect": log(4), "interval": [log(3), log(5)], "low": log(2),
               "high": None, "verdict": "reproduced", "unit": "log ratio",
               "values": [log(3.5), log(4.5)]}  # fmt: skip
        return {**own, **changes}

    return make


@pytest.fixture
def row(part):
    """Makes a ledger row with all that a row can say; `changes` replaces fields."""

    def make(**changes):
        own = {"claim": "C1", "paper": "toy2024", "title": "One thing grows with another.",
               "source": "Figure 7", "backend": "jax", "scale": "laptop", "seeds": [0, 1, 2],
               "verdict": "reproduced", "parts": [part()], "set_aside": 0,
               "control": "contradicted",
               "control_parts": [part(effect=0.01, interval=[-0.1, 0.1], verdict="contradicted")],
               "why": "The factor is 4 over 3 seeds.", "expects": "About 5 times.",
               "threshold_source": "half of the paper's", "deviations": "A smaller batch.",
               "choices": ["learning_rate 0.02 of 5"], "beside": ["widths: 1.2 [1.1, 1.3]"],
               "remark": "Only early in training.", "versions": {"keras": "3.15.1"}}  # fmt: skip
        return {**own, **changes}

    return make


@pytest.fixture
def nulls(row, part):
    """A row without an effect."""
    empty = part(effect=None, interval=None, low=None, high=-1.0, verdict="inconclusive")
    return row(verdict="inconclusive", parts=[empty], control=None, control_parts=None)


@pytest.fixture
def bare(row):
    """A row of which nothing was measured, with only the fields that every row has."""
    whole = row(parts=[], verdict="not judged")
    return {name: whole[name] for name in FIELDS}
