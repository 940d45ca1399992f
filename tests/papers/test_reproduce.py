"""Papers by key: what names mean, and that the engine is handed what they stand for."""

import re

import pytest

import wdattn
from wdattn import papers
from wdattn.ledger import Ledger, reproduce, stored
from wdattn.papers.reproduce import select

KEY = papers.keys()[0]


def test_the_top_level_name_is_the_papers_function():
    assert wdattn.reproduce is papers.reproduce


def test_without_a_key_the_headlines_are_meant():
    selections = select(None, None, None)
    assert tuple(one.paper.key for one in selections) == papers.keys()
    for one in selections:
        assert tuple(claim.id for claim in one.claims) == one.paper.headline
        assert one.studies == ()


@pytest.mark.parametrize("key", papers.keys())
def test_a_key_means_every_claim_and_study(key):
    (one,) = select(key, None, None)
    assert one.claims == one.paper.claims
    assert one.studies == tuple(study.name for study in one.paper.studies)
    claim = one.claims[0]
    (named,) = select(key, claim.experiment.name, claim.id)
    assert named.claims == (claim,) and named.studies == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": "ahn1024"}, f"`key` must be one of .*{KEY}.*, got 'ahn1024'"),
        ({"key": KEY, "claim": "C99"}, "`claim` must be one of C1, C2, C3, .*, got 'C99'"),
        ({"key": KEY, "experiment": "bass"}, "`experiment` must be one of .*, got 'bass'"),
        ({"key": KEY, "scale": "big"}, "`scale` must be one of smoke, laptop, paper.*, got 'big'"),
        ({"claim": "C1"}, f"`claim` 'C1' needs a `key`, one of .*{KEY}"),
        ({"experiment": "base"}, f"`experiment` 'base' needs a `key`, one of .*{KEY}"),
        ({"seeds": 0}, re.escape("`seeds` must be an int in [1, 10000] or")),
        ({"seeds": 10**9}, "`seeds` must be"),
        ({"seeds": range(5, 5)}, "`seeds` must be"),
    ],
)
def test_bad_names(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        papers.reproduce(**{"out": tmp_path / "results", **arguments})
    with pytest.raises(ValueError, match=message):
        papers.plan(**{"out": tmp_path / "results", **arguments})
    with pytest.raises(ValueError, match=message):
        papers.check(**arguments)
    assert not (tmp_path / "results").exists()


def test_what_a_call_hands_down(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(
        reproduce, "reproduce", lambda selections, **given: calls.append((selections, given))
    )
    papers.reproduce(KEY, scale="smoke", seeds=range(3), controls=True, out=tmp_path, jobs=2)
    ((selections, given),) = calls
    assert [one.paper for one in selections] == [papers.lookup(KEY)]
    assert given == {"scale": "smoke", "seeds": range(3), "controls": True, "out": tmp_path,
                     "progress": None, "jobs": 2}  # fmt: skip


def test_a_folder_without_a_ledger_is_refused(tmp_path):
    for call in (papers.judged, papers.write_report):
        with pytest.raises(ValueError, match="`folder` must hold results, got .* has no ledger"):
            call(tmp_path)


def test_only_papers_with_a_ledger_are_reported(tmp_path):
    folder = tmp_path / KEY
    folder.mkdir()
    (folder / "ledger.json").write_text(stored.to_json([]))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ledger.json").write_text("[{")  # of no paper that is known
    with pytest.raises(ValueError, match="has no ledger with a row"):
        papers.judged(tmp_path)
    assert len(Ledger.load(folder / "ledger.json")) == 0
