"""What the site quotes comes from the stored records, and an explorable has its form."""

import copy
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from docs.generators import __main__ as generators
from docs.generators import facts
from docs.generators import records as site_records
from docs.generators.explorables import ahn2024, frame
from wdattn import papers, reproduction
from wdattn.ledger import Ledger

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "docs" / "records"


@pytest.fixture(scope="module")
def known():
    return facts.facts()


@pytest.fixture(scope="module")
def records():
    return reproduction.load(RECORDS / "ahn2024")


@pytest.fixture(scope="module")
def explorable(records):
    return ahn2024.describe(records)


def test_every_name_on_a_page_is_known(known):
    for page in ROOT.glob("docs/**/*.md"):
        for name in re.findall(r"\{\{([\w.]+)\}\}", page.read_text("utf-8")):
            assert name in known, f"{page.name}: {name}"


def test_facts_are_those_of_the_ledger(known):
    for key in papers.keys():
        rows = Ledger.load(RECORDS / key / "ledger.json")
        assert known[f"{key}.claims"] == str(len({row.claim for row in rows}))
        (first,) = [row for row in rows if row.claim == "C1" and row.backend == "torch"]
        number = float(re.search(r"×?([−\d.]+)", known[f"{key}.C1.torch"])[1].replace("−", "-"))
        (part, *_) = first.parts
        effect = np.exp(part.effect) if part.unit == "log ratio" else part.effect
        assert number == pytest.approx(effect, rel=5e-3)  # three digits
        assert known[f"{key}.C1.torch"] in known[f"{key}.C1"]
        on_jax = [row for row in rows if row.backend == "jax"]
        for name in ("reproduced", "inconclusive"):
            assert int(known[f"{key}.{name}.jax"]) == sum(row.verdict == name for row in on_jax)


def test_every_paper_is_listed_with_a_page_of_its_own(known):
    lines = known["papers"].split("\n")[2:]
    assert len(lines) == len(papers.keys())
    for key, line in zip(papers.keys(), lines, strict=True):
        assert f"(papers/{key}.md)" in line and papers.lookup(key).title in line
        assert f"| {known[f'{key}.claims']} |" in line
        for backend, name in facts.BACKENDS.items():
            assert f"{known[f'{key}.reproduced.{backend}']} on {name}" in line.replace("\xa0", " ")
        assert (ROOT / "docs" / "papers" / f"{key}.md").exists()
    assert int(known["claims"]) == sum(int(known[f"{key}.claims"]) for key in papers.keys())


def test_the_null_of_a_spectrum_is_what_random_factors_show(known):
    a, b = np.random.default_rng(0).normal(size=(2, 768, 64))
    singular_values = np.linalg.svd(a @ b.T, compute_uv=False)
    ratio = singular_values.sum() / ((a**2).sum() + (b**2).sum()) * 2
    assert float(known["spectra.null.gpt2"]) == pytest.approx(ratio, abs=0.01)


def test_the_ledger_has_a_row_a_claim_in_each_tab(known):
    tabs = re.split(r'^=== "', known["ledger"], flags=re.MULTILINE)[1:]
    assert [tab.partition('"')[0] for tab in tabs] == ["Side by side", *facts.BACKENDS.values()]
    rows = [row for key in papers.keys() for row in Ledger.load(RECORDS / key / "ledger.json")]
    claims = {name: sum(row.backend == backend for row in rows)
              for backend, name in facts.BACKENDS.items()}  # fmt: skip
    claims["Side by side"] = len({(row.paper, row.claim) for row in rows})
    assert claims["Side by side"] == int(known["claims"])
    for tab in tabs:
        assert tab.count("| **C") == claims[tab.partition('"')[0]]


def test_every_benchmark_has_a_section(known):
    sections = re.findall(r"^## (.*)$", known["benchmarks"], re.MULTILINE)
    assert len(sections) == len(list((ROOT / "benchmarks").glob("*.py")))


def test_a_paper_without_an_explorable_is_left_out_and_each_other_written(tmp_path):
    generators.main(out=tmp_path)
    written = [path.stem for path in tmp_path.iterdir()]
    assert written == [key for key in papers.keys() if has_explorable(key)]
    for path in tmp_path.iterdir():
        frame.check(json.loads(path.read_text("utf-8")))


def has_explorable(key):
    return importlib.util.find_spec(f"docs.generators.explorables.{key}") is not None


def test_the_curve_is_the_median_of_the_stored_runs(explorable, records):
    at = dict(zip(ahn2024.CONTROLS, ahn2024.START, strict=True))
    (series,) = [s for s in explorable["series"] if s["view"] == "loss" and s["at"] == at]
    losses = [
        record["evaluation_loss"]
        for record in records.on("jax")
        if record.settings.steps == 1300
        and (record.settings.covariates, record.settings.context) == ("normal", 20)
        and (record.settings.layers, record.settings.stream) == (3, 0)
        and (record.settings.optimizer, record.settings.learning_rate) == ("adam", 0.02)
    ]
    assert len(losses) == 6
    np.testing.assert_array_equal(series["y"], np.median(losses, 0))
    np.testing.assert_array_equal(series["high"], np.max(losses, 0))


def test_the_tail_is_the_claims_measure(explorable, records):
    (series,) = [
        s
        for s in explorable["series"]
        if s["view"] == "noise" and not s["reference"]
        and s["at"] == {"data": "gamma", "layers": "3", "backend": "jax"}
    ]  # fmt: skip
    stored = [
        record["noise_tail"][0, 0]  # the quantile 0.999 over the median
        for record in records.on("jax")
        if "noise" in record.columns and record.settings.covariates == "gamma"
    ]
    assert series["y"][-1] == pytest.approx(1e-3)
    assert series["x"][-1] == pytest.approx(np.median(stored), rel=1e-4)  # norms are float32


def test_every_run_has_a_curve_and_every_option_a_run(explorable):
    for place, control in enumerate(explorable["controls"]):
        values = {option["value"] for option in control["options"]}
        assert values == {run[place] for run in explorable["runs"]}
    ends = [s["at"] for s in explorable["series"] if s["view"] == "rates"]
    names = [control["name"] for control in explorable["controls"]]
    for run in explorable["runs"]:
        chosen = dict(zip(names, run, strict=True))
        assert any(at.items() <= chosen.items() for at in ends), run


@pytest.mark.parametrize(
    "spoil, told",
    [
        (lambda e: e.pop("beside"), "explorable must have the keys"),
        (lambda e: e["runs"].append(["normal", "3", "adam", "7", "jax"]), "rate must be one of"),
        (lambda e: e["series"][0]["x"].pop(), "equally long"),
        (lambda e: e["series"][0].update(view="nothing"), "view must be one of"),
    ],
)
def test_a_wrong_form_is_refused(explorable, spoil, told):
    spoilt = copy.deepcopy(explorable)
    spoil(spoilt)
    with pytest.raises(ValueError, match=told):
        frame.check(spoilt)


@pytest.mark.parametrize("key", papers.keys())
def test_a_page_shows_pictures_of_its_paper_that_are_there(key):
    page = ROOT / "docs" / "papers" / f"{key}.md"
    names = site_records.named_figures(ROOT, key)
    figures = {figure.name for figure in papers.lookup(key).figures}
    assert names and set(names) <= figures
    for name in names:
        assert (ROOT / "docs" / "images" / key / f"{name}.png").exists()
    for kind in ("ledger", "tables"):
        assert f'--8<-- "docs/records/{key}/{kind}.md"' in page.read_text("utf-8")


def test_of_several_pictures_of_a_figure_that_of_jax_is_shown(tmp_path):
    for end in ("laptop-seeds0to5-torch", "laptop-seeds0to5-jax", "smoke-seeds0to1-jax"):
        (tmp_path / f"gap-{end}.png").touch()
    (tmp_path / "backends-laptop-seeds0to5-backends.png").touch()
    drawn = {name: site_records._drawn(tmp_path, name, "laptop") for name in ("gap", "backends")}
    assert drawn["gap"].name == "gap-laptop-seeds0to5-jax.png"
    assert drawn["backends"].name == "backends-laptop-seeds0to5-backends.png"
    with pytest.raises(ValueError, match="must be of a figure that the records suffice for"):
        site_records._drawn(tmp_path, "noise", "laptop")
