"""The committed records give the committed ledger: no verdict on the site was typed."""

from pathlib import Path

import pytest

from wdattn import papers
from wdattn.ledger import Ledger
from wdattn.ledger.markdown import markdown

RECORDS = Path(__file__).parents[1] / "docs" / "records"
KEYS = sorted(path.parent.name for path in RECORDS.glob("*/ledger.json"))


@pytest.fixture(scope="module")
def judged():
    """Every row of the committed ledgers, judged anew; installed versions may differ."""
    return papers.judged(RECORDS, lambda line: None)


def test_every_paper_has_records():
    assert set(papers.keys()) == set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_the_table_on_the_site_is_the_ledger_judged_anew(key, judged):
    own = [row for row in judged if row.paper == key]
    assert (RECORDS / key / "ledger.md").read_text("utf-8") == markdown(own)


@pytest.mark.parametrize("key", KEYS)
def test_judging_anew_changes_nothing(key, judged):
    own = Ledger(row for row in judged if row.paper == key)
    stored = Ledger.load(RECORDS / key / "ledger.json")
    assert [(r.claim, r.backend, r.verdict, r.control) for r in stored] == [
        (r.claim, r.backend, r.verdict, r.control) for r in own
    ]


@pytest.mark.parametrize("key", KEYS)
def test_no_control_is_reproduced(key):
    for row in Ledger.load(RECORDS / key / "ledger.json"):
        assert row.control not in (None, "reproduced"), row.claim
