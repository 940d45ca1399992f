"""The tables on the site are what the settings and the committed records give."""

from pathlib import Path

import numpy as np
import pytest

from wdattn.papers.ahn2024 import tables
from wdattn.papers.ahn2024.experiments import DEPTH
from wdattn.reproduction import Record, load
from wdattn.reproduction.design.references import trials
from wdattn.reproduction.judge.records import Records

RECORDS = Path(__file__).parents[2] / "docs" / "records"


def cells(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_tables_on_the_site_are_those_of_the_code_and_the_records():
    fresh = tables.markdown(load(RECORDS / "ahn2024"))
    assert (RECORDS / "tables.md").read_text("utf-8") == fresh


def test_table_1_sets_our_scale_beside_the_papers():
    head, _, *rows = cells(tables.settings("smoke"))
    found = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert found["Setting 1"]["n"] == "20" and found["Setting 2"]["n"] == "5"
    assert found["Setting 3"]["covariates x"].startswith("√Γ(shape 0.1, scale 10)")
    assert found["Setting 1"]["batch: paper / smoke"] == "1000 / 64"
    assert found["Appendix B"]["batch: paper / smoke"] == "2000 / 64"
    assert found["spherical"]["seeds: paper / smoke"] == "6 / 2"


def test_table_2_is_the_authors():
    assert cells(tables.rates())[2:] == [
        ["Setting 1", "0.02", "0.02"],
        ["Setting 2", "0.01", "0.005"],
        ["Setting 3", "0.02", "0.02"],
        ["spherical", "5.0", "0.1"],
        ["Appendix B", "0.05", "0.01"],
    ]


@pytest.mark.parametrize(("best", "shown"), [(0.05, "0.05"), (0.2, "0.2*")])
def test_a_searched_rate_is_the_one_with_the_lowest_loss(best, shown):
    arm = {"optimizer": "adam", "layers": 8}
    found = []
    for run, _ in trials(DEPTH, "laptop", arm):
        loss = np.full(100, abs(np.log(run.learning_rate / best)) + 1)
        times = np.array(DEPTH.at("laptop").times("loss", run.steps))
        columns = {"loss": (times, loss), "skipped": (np.array([run.steps]), np.zeros(1))}
        found.append(Record(run, columns, {"backend": "torch"}))
    assert cells(tables.searched(Records(found)))[2:] == [["8 layers, Adam", shown]]


def test_without_a_search_there_is_no_table():
    assert tables.searched(Records([])) == "No search is in these records.\n"
