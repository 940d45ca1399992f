"""Rows, unique by claim, backend, scale and seeds, written whole and read back strictly."""

import json
import math
import os
from pathlib import Path

import pytest

from tests.ledger_rows import made_row
from wdattn.ledger import Ledger, stored
from wdattn.ledger.judging import judged_row
from wdattn.reproduction import AllOf, Claim, Control, Inside, Paper, difference, reads

PLAIN, FANCY = {"kind": "plain"}, {"kind": "fancy"}
MADE_WITH = {"keras": "3.15.1", "python": "3.11.7"}


@reads("height")
def height(run):
    return run["height"].mean()


EFFECT = difference(height, PLAIN, minus=FANCY)


@pytest.fixture
def claim(experiment):
    control = Control(FANCY | {"stream": 1}, of=PLAIN)
    return Claim("C1", experiment, "Plain is higher.", Inside(EFFECT, low=0.5), control=control)


@pytest.fixture
def made(claim, finder):
    def make(values=lambda run, column: 2.0 * (run.kind == "plain") + run.seed / 9, **changes):
        paper = Paper("toy2024", "Toys", "Toy et al.", (claim,), (), "toys")
        find = finder(claim.experiment, values, absent=changes.pop("absent", ()))
        arguments = {"scale": "laptop", "seeds": tuple(range(5)), "backend": "jax"}
        return judged_row(paper, claim, find, **arguments | changes)

    return make


def test_a_row_has_the_claim_and_its_numbers(made):
    row = made()
    assert row.claim == "C1" and row.paper == "toy2024"
    assert row.title == "Plain is higher."
    assert row.source == "Toy et al. (2024), Figure 1"
    assert row.expects == "plain above fancy"
    assert row.seeds == (0, 1, 2, 3, 4)
    assert row.verdict == "reproduced" and row.control == "contradicted"
    (part,) = row.parts
    assert part.effect == pytest.approx(2) and part.low == 0.5 and part.high == math.inf
    assert part.verdict == "reproduced"
    assert row.set_aside == ()
    assert "effect 2" in row.why


def test_builds_and_versions_are_those_of_the_records(made):
    row = made()
    assert row.builds == ("toy",) and row.versions == (MADE_WITH,)


def test_a_control_that_was_not_run_is_null(made, experiment):
    absent = [experiment.at("laptop").run(FANCY | {"stream": 1}, seed) for seed in range(5)]
    row = made(absent=absent)
    assert row.verdict == "reproduced"
    assert row.control is None and row.control_parts == ()


def test_the_scales_deviation_is_told(made):
    assert made(scale="smoke", seeds=(0, 1)).deviations.endswith("; shallow")
    assert made().deviations == "none"


def test_no_nan_reaches_json(made):
    row = made(lambda run, column: math.nan)
    assert row.verdict == "inconclusive" and row.parts[0].effect is None
    (plain,) = json.loads(stored.to_json([row]), parse_constant=pytest.fail)
    assert plain["parts"][0]["effect"] is None and plain["parts"][0]["values"] == [None] * 5


def test_later_rows_replace_those_of_the_same_claim_and_run(row):
    ledger = Ledger([row(why="old"), row(backend="torch"), row(why="new")])
    assert len(ledger) == 2
    assert ledger[0].why == "new"


def test_rows_of_another_claim_or_run_stay(row):
    rows = [
        row(),
        row(claim="C2"),
        row(backend="torch"),
        row(scale="paper"),
        row(seeds=(0, 1)),
        row(paper="other2024"),
        row(claim="D1"),
    ]
    assert len(Ledger(rows)) == len(rows)


def test_rows_are_in_the_order_of_claims(row):
    ledger = Ledger(row(claim=name) for name in ("C10", "C2", "C1", "C2b", "x"))
    assert [one.claim for one in ledger] == ["C1", "C2", "C2b", "C10", "x"]
    assert ledger == Ledger(reversed(ledger.rows))


def test_merging_keeps_what_other_backends_said(row):
    old = Ledger([row(why="old"), row(backend="torch", why="kept")])
    new = old.merged([row(why="new")])
    assert {one.backend: one.why for one in new} == {"jax": "new", "torch": "kept"}
    assert {one.backend: one.why for one in old} == {"jax": "old", "torch": "kept"}


def test_saved_rows_come_back_equal(tmp_path, made):
    lost = made(lambda run, column: math.nan, scale="smoke", seeds=(0, 1))
    ledger = Ledger([made(), made(backend="torch"), lost, made_row(claim="C2")])
    ledger.save(tmp_path / "ledger.json")
    assert Ledger.load(tmp_path / "ledger.json") == ledger
    first = (tmp_path / "ledger.json").read_bytes()
    Ledger.load(tmp_path / "ledger.json").save(tmp_path / "ledger.json")
    assert (tmp_path / "ledger.json").read_bytes() == first


def test_no_file_is_an_empty_ledger(tmp_path):
    assert len(Ledger.load(tmp_path / "ledger.json")) == 0


def test_a_kill_while_saving_leaves_the_old_ledger(tmp_path, made, monkeypatch):
    path = tmp_path / "ledger.json"
    Ledger([made()]).save(path)
    before = path.read_bytes()

    def killed(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        Ledger([made(backend="torch")]).save(path)
    assert path.read_bytes() == before


def test_a_ledger_is_not_equal_to_its_rows(made):
    assert Ledger([made()]) != [made()]


def test_it_prints_as_plain_text_that_fits_the_terminal(made, monkeypatch):
    ledger = Ledger([made(), made(backend="torch")])
    for width in (60, 80):
        monkeypatch.setenv("COLUMNS", str(width))
        text = repr(ledger)
        assert str(ledger) == text and "✓ reproduced" in text and "Plain is higher." in text
        assert max(map(len, text.split("\n"))) <= width
        assert not {"|", "<", "\\", "\x1b"} & set(text)
    assert ledger._repr_markdown_().startswith("| Claim |")


def test_parts_of_all_of_keep_their_labels(claim, finder, experiment):
    both = AllOf((Inside(EFFECT, low=0.5, label="first"), Inside(EFFECT, low=9, label="second")))
    two = Claim("C2", experiment, "Both.", both, control=claim.control)
    paper = Paper("toy2024", "Toys", "Toy et al.", (two,), (), "toys")
    find = finder(experiment, lambda run, column: 2.0 * (run.kind == "plain"))
    row = judged_row(paper, two, find, scale="laptop", seeds=(0, 1, 2, 3, 4), backend="jax")
    verdicts = {part.label: part.verdict for part in row.parts}
    assert verdicts == {"first": "reproduced", "second": "contradicted"}
    assert row.verdict == "contradicted"


def test_two_claims_of_one_name_raise(claim):
    with pytest.raises(ValueError, match=r"toy2024 has two claims of one name: \['C1', 'C1'\]"):
        Paper("toy2024", "Toys", "Toy et al.", (claim, claim), (), "toys")


def test_two_experiments_of_one_name_raise(claim, experiment):
    from dataclasses import replace

    other = replace(claim, id="C2", experiment=replace(experiment, overrides={"weight_decay": 0.1}))
    with pytest.raises(ValueError, match="toy2024 has two experiments of one name.*: 'base'"):
        Paper("toy2024", "Toys", "Toy et al.", (claim, other), (), "toys")


def test_an_unknown_headline_raises(claim):
    with pytest.raises(ValueError, match="`claim` must be one of C1 for toy2024, got 'C9'"):
        Paper("toy2024", "Toys", "Toy et al.", (claim,), ("C9",), "toys")


@pytest.mark.parametrize(
    "data",
    [b"", b"[{", b"{}", b'[{"claim": "C1"}]', b"\xff", b"[NaN]", b"[" * 100_000, b"3" * 5_000],
    ids=range(8),
)
def test_a_file_that_is_not_a_ledger_is_named(tmp_path, data):
    (tmp_path / "ledger.json").write_bytes(data)
    with pytest.raises(ValueError, match=r"ledger\.json is not a ledger: "):
        Ledger.load(tmp_path / "ledger.json")


def test_what_is_no_file_or_too_large_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(stored.MOST_BYTES + 1)
    for name in ("pipe", "large", "."):
        with pytest.raises(ValueError, match="must be a file of up to 64 MiB"):
            Ledger.load(tmp_path / name)


def test_a_malformed_row_does_not_take_the_others_with_it(tmp_path, row):
    plain = json.loads(stored.to_json([row(), row(claim="C2")]))
    (tmp_path / "ledger.json").write_text(json.dumps([plain[0], {"claim": "C9"}, plain[1]]))
    told = []
    assert Ledger.load(tmp_path / "ledger.json", told.append) == Ledger([row(), row(claim="C2")])
    (line,) = told
    assert "ledger.json: row 1: a row must have" in line and "\n" not in line
