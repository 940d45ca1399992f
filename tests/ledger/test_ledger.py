"""Rows of plain data, unique by claim, backend, scale and seeds, written whole."""

import json
import math
from pathlib import Path

import pytest

from wdattn.ledger import Ledger
from wdattn.ledger.ledger import row
from wdattn.reproduction import AllOf, Claim, Control, Inside, Paper, difference, reads

PLAIN, FANCY = {"kind": "plain"}, {"kind": "fancy"}
FIELDS = {
    "claim", "paper", "title", "source", "backend", "scale", "seeds", "verdict", "parts",
    "set_aside", "control", "control_parts", "why", "expects", "threshold_source", "deviations",
    "choices", "beside", "remark", "versions",
}  # fmt: skip


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
        arguments = {"scale": "laptop", "seeds": range(5), "backend": "jax", "versions": {"a": "1"}}
        return row(paper, claim, find, **{**arguments, **changes})

    return make


def entry(claim="C1", backend="jax", scale="laptop", seeds=(0, 1), paper="toy2024", **rest):
    return {"claim": claim, "paper": paper, "backend": backend, "scale": scale,
            "seeds": list(seeds), **rest}  # fmt: skip


def test_a_row_has_the_claim_and_its_numbers(made):
    found = made()
    assert set(found) == FIELDS
    assert found["claim"] == "C1" and found["paper"] == "toy2024"
    assert found["title"] == "Plain is higher."
    assert found["source"] == "Toy et al. (2024), Figure 1"
    assert found["expects"] == "plain above fancy"
    assert found["seeds"] == [0, 1, 2, 3, 4]
    assert found["verdict"] == "reproduced" and found["control"] == "contradicted"
    (part,) = found["parts"]
    assert part["effect"] == pytest.approx(2) and part["low"] == 0.5 and part["high"] is None
    assert part["verdict"] == "reproduced"
    assert found["set_aside"] == 0
    assert "effect 2" in found["why"]


def test_a_control_that_was_not_run_is_null(made, experiment):
    absent = [experiment.at("laptop").run(FANCY | {"stream": 1}, seed) for seed in range(5)]
    found = made(absent=absent)
    assert found["verdict"] == "reproduced"
    assert found["control"] is None and found["control_parts"] is None


def test_the_scales_deviation_is_told(made):
    assert made(scale="smoke", seeds=range(2))["deviations"] == "shallow"
    assert made()["deviations"] == ""


def test_no_nan_reaches_json(made):
    found = made(lambda run, column: math.nan)
    assert found["verdict"] == "inconclusive"
    assert found["parts"][0]["effect"] is None and found["parts"][0]["values"] == [None] * 5
    json.dumps(found, allow_nan=False)


def test_a_row_survives_json(made):
    assert json.loads(json.dumps(made())) == made()


def test_later_rows_replace_those_of_the_same_key():
    ledger = Ledger([entry(verdict="old"), entry(backend="torch"), entry(verdict="new")])
    assert len(ledger) == 2
    assert ledger[0]["verdict"] == "new"


def test_rows_of_another_key_stay():
    rows = [
        entry(),
        entry("C2"),
        entry(backend="torch"),
        entry(scale="paper"),
        entry(seeds=(0, 1, 2)),
        entry(paper="other2024"),
        entry("D1"),
    ]
    assert len(Ledger(rows)) == len(rows)


def test_rows_are_in_the_order_of_claims():
    ledger = Ledger(entry(name) for name in ("C10", "C2", "C1"))
    assert [one["claim"] for one in ledger] == ["C1", "C2", "C10"]
    assert ledger == Ledger(reversed(ledger.rows))


def test_merging_keeps_what_other_backends_said():
    old = Ledger([entry(verdict="old"), entry(backend="torch", verdict="kept")])
    new = old.merged([entry(verdict="new")])
    assert {one["backend"]: one["verdict"] for one in new} == {"jax": "new", "torch": "kept"}
    assert {one["backend"]: one["verdict"] for one in old} == {"jax": "old", "torch": "kept"}


def test_saved_rows_come_back_equal(tmp_path, made):
    lost = made(lambda run, column: math.nan, scale="smoke", seeds=range(2))
    ledger = Ledger([made(), made(backend="torch"), lost])
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


def test_it_prints_as_a_table(made):
    ledger = Ledger([made()])
    assert "C1" in repr(ledger) and "reproduced" in ledger._repr_markdown_()


def test_parts_of_all_of_keep_their_labels(claim, finder, experiment):
    both = AllOf((Inside(EFFECT, low=0.5, label="first"), Inside(EFFECT, low=9, label="second")))
    two = Claim("C2", experiment, "Both.", both, control=claim.control)
    paper = Paper("toy2024", "Toys", "Toy et al.", (two,), (), "toys")
    find = finder(experiment, lambda run, column: 2.0 * (run.kind == "plain"))
    found = row(paper, two, find, scale="laptop", seeds=range(5), backend="jax", versions={})
    verdicts = {part["label"]: part["verdict"] for part in found["parts"]}
    assert verdicts == {"first": "reproduced", "second": "contradicted"}
    assert found["verdict"] == "contradicted"


def test_two_claims_of_one_name_raise(claim):
    with pytest.raises(ValueError, match=r"toy2024 has two claims of one name: \['C1', 'C1'\]"):
        Paper("toy2024", "Toys", "Toy et al.", (claim, claim), (), "toys")


def test_two_experiments_of_one_name_raise(claim, experiment):
    from dataclasses import replace

    other = replace(claim, id="C2", experiment=replace(experiment, overrides={"weight_decay": 0.1}))
    with pytest.raises(ValueError, match="toy2024 has two experiments of one name: 'base'"):
        Paper("toy2024", "Toys", "Toy et al.", (claim, other), (), "toys")


def test_an_unknown_headline_raises(claim):
    with pytest.raises(ValueError, match="`claim` must be one of C1 for toy2024, got 'C9'"):
        Paper("toy2024", "Toys", "Toy et al.", (claim,), ("C9",), "toys")


@pytest.mark.parametrize("text", ["", "[{", "{}", '[{"claim": "C1"}]'])
def test_a_file_that_is_not_a_ledger_is_named(tmp_path, text):
    (tmp_path / "ledger.json").write_text(text)
    with pytest.raises(ValueError, match=r"ledger\.json is not a ledger: "):
        Ledger.load(tmp_path / "ledger.json")
