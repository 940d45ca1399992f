"""The committed records give the committed ledger: no verdict on the site was typed."""

from pathlib import Path

import pytest

from wdattn import papers
from wdattn.ledger import Ledger, report

RECORDS = Path(__file__).parents[1] / "docs" / "records"
KEYS = sorted(path.parent.name for path in RECORDS.glob("*/ledger.json"))


def test_every_paper_has_records():
    assert set(papers.KEYS) == set(KEYS)


def test_the_table_on_the_site_is_the_ledger_judged_anew():
    ledger = papers.judged(RECORDS)
    assert (RECORDS / "ledger.md").read_text("utf-8") == report.markdown(ledger.rows)


@pytest.mark.parametrize("key", KEYS)
def test_judging_anew_changes_no_verdict(key):
    stored = Ledger.load(RECORDS / key / "ledger.json")
    fresh = [row for row in papers.judged(RECORDS) if row["paper"] == key]
    assert [(r["claim"], r["backend"], r["verdict"], r["control"]) for r in stored] == [
        (r["claim"], r["backend"], r["verdict"], r["control"]) for r in fresh
    ]


@pytest.mark.parametrize("key", KEYS)
def test_no_control_is_reproduced(key):
    for row in Ledger.load(RECORDS / key / "ledger.json"):
        assert row["control"] not in (None, "reproduced"), row["claim"]
