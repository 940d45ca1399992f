"""Tables of settings: the paper's beside ours, and what a search chose on each backend."""

import math
from pathlib import Path

import numpy as np
import pytest

from tests.toy2024 import PAPER
from tests.toy2024.findings.momentum import BASE, FANCY, TUNED
from wdattn import papers, reproduction
from wdattn.ledger.tables import tables
from wdattn.reproduction import Experiment, Paper, Record, Records, Scale, at
from wdattn.reproduction.design.paper import Table

RECORDS = Path(__file__).parents[2] / "docs" / "records"


@pytest.mark.parametrize("key", sorted(path.parent.name for path in RECORDS.glob("*/tables.md")))
def test_the_tables_on_the_site_are_those_of_the_code_and_the_records(key):
    fresh = tables(papers.lookup(key), reproduction.load(RECORDS / key))
    assert (RECORDS / key / "tables.md").read_text("utf-8") == fresh


def cells(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_setting_that_differs_from_the_papers_is_given_twice(toy):
    experiment = Experiment(
        "e",
        toy,
        {"depth": 4},
        {"height": at(0)},
        {"laptop": Scale(3, {"steps": 5}), "paper": Scale(6)},
    )
    rows = {"plain": (experiment, {}), "fancy, flat": (experiment, {"kind": "fancy", "depth": 1})}
    table = Table("Runs.", "What is run.", rows, ("kind", "depth", "steps"))
    paper = Paper("toy2024", "Toys", "T.", (), (), "toys", studies=(experiment,), tables=(table,))
    text = tables(paper, Records([]))
    assert text.startswith("**Runs.** What is run.\n")
    assert cells(text) == [
        ["", "kind", "depth", "steps", "seeds"],
        ["---"] * 5,
        ["plain", "plain", "4", "20 / 5", "6 / 3"],
        ["fancy, flat", "fancy", "1", "20 / 5", "6 / 3"],
    ]


@pytest.mark.parametrize(
    ("best", "shown"), [(0.1, "0.1"), (0.3, "0.3*"), (0.01, "0.01*"), (None, "none finite")]
)
def test_what_was_found_by_search_is_told_for_each_backend(best, shown):
    at_scale, records = BASE.at("laptop"), []
    for rate in TUNED["learning_rate"].grid:
        for seed in TUNED["learning_rate"].seeds:
            run = at_scale.run(FANCY | {"learning_rate": rate}, seed)
            steps = np.array(at_scale.times("loss", run.steps))
            loss = math.nan if best is None else 1 + abs(rate - best)
            column = steps, np.full(len(steps), loss)
            records.append(Record(run, {"loss": column}, {"backend": "torch"}))
    text = tables(PAPER, Records(records))
    assert "An asterisk marks an end of the grid." in text
    assert cells(text)[2:] == [["momentum", "kind fancy", shown]]
    assert cells(text)[0] == ["experiment", "runs", "torch"]


def test_without_a_search_there_is_no_table():
    assert tables(PAPER, Records([])) == ""
