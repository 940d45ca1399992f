"""A row in words: numbers in their unit, and where they lie against what counts."""

from math import inf, log

import pytest

from tests.ledger_rows import made_choice
from wdattn.ledger.row import ordered
from wdattn.ledger.wording import beside_names, choice_name, comparison, region_name, relation
from wdattn.plots.words import effect_name


def test_claims_stand_in_natural_order_and_papers_as_they_come(row):
    names = [("b", "C10"), ("a", "C1"), ("b", "C2"), ("a", "C1b")]
    rows = [row(paper=paper, claim=claim) for paper, claim in names]
    in_order = [(one.paper, one.claim) for one in ordered(rows)]
    assert in_order == [("b", "C2"), ("b", "C10"), ("a", "C1"), ("a", "C1b")]


@pytest.mark.parametrize(
    "interval, low, high, where",
    [
        ((0.3, 0.4), 0.2, inf, "inside"),
        ((0.3, 0.4), 0.5, inf, "outside"),
        ((0.3, 0.4), 0.35, inf, "across"),
        ((0.3, 0.4), -inf, 0.5, "inside"),
        ((0.3, 0.4), -inf, 0.2, "outside"),
        ((0.3, 0.4), 0.2, 0.5, "inside"),
        ((0.3, 0.4), 0.2, 0.35, "across"),
        ((0.3, 0.4), 0.3, inf, "across"),
        (None, 0.2, inf, "unknown"),
    ],
)
def test_the_interval_is_compared_with_what_counts(interval, low, high, where, part):
    told = part(effect=interval and 0.35, interval=interval, low=low, high=high)
    assert relation(told) == where
    words = {"inside": "lies inside", "outside": "lies outside", "across": "reaches across",
             "unknown": "no mean over seeds"}  # fmt: skip
    assert words[where] in comparison(told)


@pytest.mark.parametrize(
    "verdict, where, words",
    [
        ("reproduced", "inside", "Every value of every seed lies inside"),
        ("contradicted", "outside", "There is a value that lies outside"),
        ("inconclusive", "across", "Not every value of every seed lies inside"),
    ],
)
def test_bounds_on_every_value_are_told_without_an_interval(verdict, where, words, every):
    from dataclasses import replace

    told = replace(every, verdict=verdict)
    assert relation(told) == where
    assert comparison(told).startswith(words) and "interval" not in comparison(told)
    assert effect_name(told) == "0.97 at worst"
    assert region_name(told) == "from 0 to 1"
    lost = replace(told, effect=None, verdict="inconclusive")
    assert relation(lost) == "unknown" and "not finite" in comparison(lost)


def test_effects_and_thresholds_are_read_in_their_unit(part):
    assert effect_name(part()) == "×4.00 [3.00, 5.00]"
    slope = part(effect=0.62, interval=(0.55, 0.7), low=0.125, unit="slope")
    assert effect_name(slope) == "0.62 [0.55, 0.70]"
    assert region_name(slope) == "above 0.125"
    assert region_name(part(low=-inf, high=log(0.5))) == "below ×0.5"
    assert region_name(part(low=log(1.17))) == "above ×1.17"
    assert effect_name(part(effect=None, interval=None)) == "no mean over seeds"


@pytest.mark.parametrize("value, edge", [(0.01, True), (0.02, False), (0.05, True)])
def test_a_choice_says_when_it_lies_at_the_end_of_its_grid(value, edge):
    told = choice_name(made_choice(value=value))
    assert told.startswith(f"n 5: learning_rate = {value} of (0.01, 0.02, 0.05)")
    assert told.endswith(", at the end of the grid") == edge


def test_skipped_steps_are_told_beside_the_claim(row):
    assert beside_names(row()) == ["widths: 1.20 [1.10, 1.30]"]
    (_, told) = beside_names(row(skipped=0.0333))
    assert told == "steps skipped as their gradient is not finite: up to 3.3 %"
