import io
import json
import re
from math import inf, log, nan

import numpy as np
import pytest
from rich.console import Console

from wdattn.plots.words import SIGNS
from wdattn.reproduction import report
from wdattn.reproduction.wording import comparison, effect_name, ordered, region_name

NASTY = """<script>alert("x")</script> & 'so on' | *bold* [link](x)"""


def part(**changes):
    own = {"label": "", "effect": log(4), "interval": [log(3), log(5)], "low": log(2),
           "high": None, "verdict": "reproduced", "unit": "log ratio",
           "values": [log(3.5), log(4.5)]}  # fmt: skip
    return {**own, **changes}


def row(**changes):
    own = {"claim": "C1", "paper": "toy2024", "title": "One thing grows with another.",
           "source": "Figure 7", "backend": "jax", "scale": "laptop", "seeds": [0, 1, 2],
           "verdict": "reproduced", "parts": [part()], "set_aside": 0, "control": "contradicted",
           "control_parts": [part(effect=0.01, interval=[-0.1, 0.1], verdict="contradicted")],
           "why": "The factor is 4 over 3 seeds.", "expects": "About 5 times.",
           "threshold_source": "half of the paper's", "deviations": "A smaller batch.",
           "choices": ["lr 0.02 of 5"], "versions": {"keras": "3.15.1"}}  # fmt: skip
    return {**own, **changes}


EVERY = [row(claim=f"C{i}", verdict=verdict) for i, verdict in enumerate(SIGNS)]
NULLS = row(
    verdict="inconclusive",
    parts=[part(effect=None, interval=None, low=None, high=-1.0, verdict="inconclusive")],
    control=None,
    control_parts=None,
)
BARE = {key: value for key, value in row(parts=[], verdict="not judged").items()
        if key in report.FIELDS}  # fmt: skip


def printed(rows, width=120):
    out = io.StringIO()
    Console(width=width, file=out).print(report.table(rows))
    return out.getvalue()


# Words


def test_claims_stand_in_natural_order_and_papers_as_they_come():
    names = [("b", "C10"), ("a", "C1"), ("b", "C2"), ("a", "C1b")]
    rows = [row(paper=paper, claim=claim) for paper, claim in names]
    found = [(one["paper"], one["claim"]) for one in ordered(rows)]
    assert found == [("b", "C2"), ("b", "C10"), ("a", "C1"), ("a", "C1b")]


@pytest.mark.parametrize(
    "interval, low, high, words",
    [
        ([0.3, 0.4], 0.2, None, "lies inside"),
        ([0.3, 0.4], 0.5, None, "lies outside"),
        ([0.3, 0.4], 0.35, None, "reaches across"),
        ([0.3, 0.4], None, 0.5, "lies inside"),
        ([0.3, 0.4], None, 0.2, "lies outside"),
        ([0.3, 0.4], 0.2, 0.5, "lies inside"),
        ([0.3, 0.4], 0.2, 0.35, "reaches across"),
        ([0.3, 0.4], 0.3, None, "reaches across"),
        ([0.3, 0.4], 0.2, inf, "lies inside"),
        (None, 0.2, None, "without an interval"),
    ],
)
def test_the_interval_is_compared_with_what_counts(interval, low, high, words):
    assert words in comparison(part(effect=0.35, interval=interval, low=low, high=high))


def test_effects_and_thresholds_are_read_in_their_unit():
    assert effect_name(part()) == "×4.00 [3.00, 5.00]"
    assert effect_name(part(), logarithm=True).endswith(", logarithm 1.39 [1.10, 1.61]")
    slope = part(effect=0.62, interval=[0.55, 0.7], low=0.125, unit="slope")
    assert effect_name(slope, logarithm=True) == "0.62 [0.55, 0.70]"
    assert region_name(slope) == "above 0.125"
    assert region_name(part(low=-inf, high=log(0.5))) == "below ×0.5"
    assert region_name(part(low=log(1.17))) == "above ×1.17"


# Table and Markdown


def test_the_table_has_every_verdict_with_its_sign_its_effect_and_its_control():
    text = printed(EVERY)
    for verdict, sign in SIGNS.items():
        assert f"{sign} {verdict}" in text
    assert "×4.00 [3.00, 5.00]" in text and "counts above ×2" in text
    assert text.count("contradicted") == 1 + len(EVERY)
    assert "laptop scale, jax, seeds 0–2" in text


def test_the_table_tells_runs_apart_and_says_a_title_once():
    text = printed([row(), row(backend="torch"), row(backend="torch", seeds=[7])])
    assert re.search(r"torch, seeds\s+7", text) and "laptop scale" in text
    assert text.count("One thing grows") == 1


def test_the_table_shows_alarm_set_aside_parts_and_nulls():
    two = row(parts=[part(label="up"), part(label="down")], set_aside=1, control="reproduced")
    text = printed([two, NULLS | {"claim": "C2"}, BARE | {"claim": "C3"}])
    for words in (
        *("! reproduced", "1 of 3 seeds set aside", "up: ×4.00", "down: ×4.00", "not measured"),
        *("no mean over seeds", "counts below ×0.3679", "not run"),
    ):
        assert words in text


def test_the_table_fits_into_eighty_columns():
    text = printed([row(backend=name) for name in ("jax", "tensorflow", "torch")], width=80)
    assert text.count("✓ reproduced") == text.count("contradicted") == 3


def test_an_empty_ledger_is_an_empty_table():
    assert "Claim" in printed([])
    assert report.markdown([]).count("\n") == 2


def test_markdown_has_a_line_a_row_and_a_reason_a_row():
    lines = report.markdown([row(), row(backend="torch")]).splitlines()
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
    assert len(cells) == 4 and {len(line) for line in cells} == {7}
    assert cells[2][0].strip() == "toy2024 C1" and "✓ reproduced" in cells[2][5]
    assert sum(line.startswith("- **toy2024 C1**") for line in lines) == 2


def test_markdown_is_escaped():
    text = report.markdown([row(title=NASTY, why=NASTY)])
    assert "<script" not in text
    assert r"\*bold\* \[link\](x)" in text and r"\|" in text


# JSON


def test_json_round_trip():
    rows = [*EVERY, NULLS, BARE]
    assert report.from_json(report.to_json(rows)) == rows


def test_json_has_no_nan_and_no_numpy():
    odd = part(effect=np.float32(nan), interval=(np.float64(1), inf), values=np.array([1.0, -inf]))
    text = report.to_json([row(parts=[odd], seeds=np.arange(2), set_aside=np.int64(1))])
    assert "NaN" not in text and "Infinity" not in text
    (found,) = json.loads(text)
    assert found["parts"][0]["effect"] is None
    assert found["parts"][0]["interval"] == [1.0, None]
    assert found["parts"][0]["values"] == [1.0, None]
    assert found["seeds"] == [0, 1] and found["set_aside"] == 1


@pytest.mark.parametrize(
    "rows, message",
    [
        ({}, "JSON list"),
        ([3], "row 0 of `text` must be an object"),
        ([row(), {"claim": "C1"}], "row 1 of `text` lacks paper, title"),
        ([row(verdict="true")], "`verdict` must be one of reproduced, .* got 'true'"),
        ([row(parts=[{"effect": 1}])], "a part of row 0 of `text` lacks interval"),
    ],
)
def test_json_that_is_no_ledger_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        report.from_json(json.dumps(rows))
