import io
import json
import re
from math import inf, log, nan

import numpy as np
import pytest
from rich.console import Console

from wdattn.ledger import report
from wdattn.ledger.wording import comparison, effect_name, ordered, region_name
from wdattn.plots.words import SIGNS

NASTY = """<script>alert("x")</script> & 'so on' | *bold* [link](x)"""


def printed(rows, width=120):
    out = io.StringIO()
    Console(width=width, file=out).print(report.table(rows))
    return out.getvalue()


# Words


def test_claims_stand_in_natural_order_and_papers_as_they_come(row):
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
def test_the_interval_is_compared_with_what_counts(interval, low, high, words, part):
    assert words in comparison(part(effect=0.35, interval=interval, low=low, high=high))


def test_effects_and_thresholds_are_read_in_their_unit(part):
    assert effect_name(part()) == "×4.00 [3.00, 5.00]"
    assert effect_name(part(), logarithm=True).endswith(", logarithm 1.39 [1.10, 1.61]")
    slope = part(effect=0.62, interval=[0.55, 0.7], low=0.125, unit="slope")
    assert effect_name(slope, logarithm=True) == "0.62 [0.55, 0.70]"
    assert region_name(slope) == "above 0.125"
    assert region_name(part(low=-inf, high=log(0.5))) == "below ×0.5"
    assert region_name(part(low=log(1.17))) == "above ×1.17"


# Table and Markdown


def test_the_table_has_every_verdict_with_its_sign_its_effect_and_its_control(row):
    every = [row(claim=f"C{i}", verdict=verdict) for i, verdict in enumerate(SIGNS)]
    text = printed(every)
    for verdict, sign in SIGNS.items():
        assert f"{sign} {verdict}" in text
    assert "×4.00 [3.00, 5.00]" in text and "counts above ×2" in text
    assert text.count("contradicted") == 1 + len(every)
    assert "laptop scale, jax, seeds 0–2" in text


def test_the_table_tells_runs_apart_and_says_a_title_once(row):
    text = printed([row(), row(backend="torch"), row(backend="torch", seeds=[7])])
    assert "torch," in text and "seeds 7" in text and "laptop scale" in text
    assert text.count("One thing grows") == 1


def test_the_table_shows_alarm_set_aside_parts_and_nulls(part, row, nulls, bare):
    two = row(parts=[part(label="up"), part(label="down")], set_aside=1, control="reproduced")
    text = printed([two, nulls | {"claim": "C2"}, bare | {"claim": "C3"}])
    for words in (
        *("! reproduced", "1 of 3 seeds set aside", "up:", "down:", "not measured"),
        *("no mean over seeds", "counts below ×0.3679", "not run"),
    ):
        assert words in text


@pytest.mark.parametrize("more", [[], [[7, 9]]])
def test_the_table_fits_into_eighty_columns(row, part, more):
    both = {"parts": [part(label="up"), part(label="down")]}
    rows = [row(backend=name, **both) for name in ("jax", "tensorflow", "torch")]
    text = printed([*rows, *(row(seeds=seeds, **both) for seeds in more)], width=80)
    count = 3 + len(more)
    assert text.count("✓ reproduced") == text.count("contradicted") == count
    assert text.count("×4.00 [3.00, 5.00]") == 2 * count


def test_a_claim_is_one_row_whose_cells_stay_side_by_side(row, part):
    two = row(parts=[part(label="up"), part(label="down")])
    lines = printed([two, row(backend="torch", verdict="inconclusive")]).splitlines()
    place = next(line for line in lines if " torch " in line)
    assert "×4.00 [3.00, 5.00]" in place and "? inconclusive" in place


def test_an_empty_ledger_is_an_empty_table():
    assert "Claim" in printed([])
    assert report.markdown([]).count("\n") == 2


def test_markdown_has_a_row_a_claim_and_a_column_a_run(row):
    text = report.markdown([row(), row(backend="torch"), row(claim="C2")])
    lines = text.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    table = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
    (head, _, first, second) = [[cell.strip() for cell in line] for line in table]
    found = "✓ reproduced<br>×4.00 \\[3.00, 5.00\\]<br>control: contradicted"
    assert head == ["Claim", "Finding", "jax", "torch"]
    assert first == ["C1", "One thing grows with another.<br>counts above ×2", found, found]
    assert second == ["C2", first[1], found, ""]
    assert "laptop scale, seeds 0–2." in lines


def test_markdown_names_the_paper_where_there_are_several(row):
    text = report.markdown([row(), row(paper="other2024")])
    assert "| toy2024 C1 |" in text and "| other2024 C1 |" in text


def test_markdown_says_what_to_know_of_a_claim(row, nulls):
    text = report.markdown([row(), row(backend="torch"), nulls | {"claim": "C2"}])
    assert text.count("- **C1**: Only early in training.") == 1
    assert "- **C1**: beside it, not judged (torch): widths: 1.2 \\[1.1, 1.3\\]" in text
    assert "- **C2**: inconclusive (jax): The factor is 4 over 3 seeds." in text
    assert "- **C1**: reproduced" not in text  # its number stands in the table


def test_every_written_form_says_whether_the_backends_agree(row):
    agree = "Verdicts agree on all backends (jax, torch)."
    differ = ("C1 (laptop scale): the verdict depends on the backend: reproduced on jax "
              "(×4.00 [3.00, 5.00]), inconclusive on torch (×4.00 [3.00, 5.00]).")  # fmt: skip
    for verdict, said in (("reproduced", agree), ("inconclusive", differ)):
        rows = [row(), row(backend="torch", verdict=verdict)]
        assert said in report.markdown(rows).replace("\\", "")
        assert said in " ".join(printed(rows, width=200).split())
        assert said in report.html([{"key": "toy2024", "title": "", "citation": ""}], rows, [])


def test_markdown_is_escaped(row):
    text = report.markdown([row(title=NASTY, why=NASTY)])
    assert "<script" not in text
    assert r"\*bold\* \[link\](x)" in text and r"\|" in text


# JSON


def test_json_round_trip(row, nulls, bare):
    rows = [*(row(claim=verdict, verdict=verdict) for verdict in SIGNS), nulls, bare]
    assert report.from_json(report.to_json(rows)) == rows


def test_json_has_no_nan_and_no_numpy(part, row):
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
        ([{}, {"claim": "C1"}], "row 1 of `text` lacks paper, title"),
        ([{"verdict": "true"}], "`verdict` must be one of reproduced, .* got 'true'"),
        ([{"parts": [{"effect": 1}]}], "a part of row 0 of `text` lacks interval"),
    ],
)
def test_json_that_is_no_ledger_is_refused(row, rows, message):
    if isinstance(rows, list):
        rows = [
            row() | one if isinstance(one, dict) and "claim" not in one else one for one in rows
        ]
    with pytest.raises(ValueError, match=message):
        report.from_json(json.dumps(rows))
