"""A new paper's folder runs as it is laid."""

import importlib
import sys
import tomllib

import numpy as np
import pytest

from wdattn import papers
from wdattn.reproduction import Executor, Request, Store, judge, load


@pytest.fixture
def laid(tmp_path, monkeypatch):
    folder = papers.new_paper("nobody1900", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "nobody1900"]:
        del sys.modules[name]


def test_it_is_a_package_with_an_entry_point(laid):
    project = tomllib.loads((laid.parent / "pyproject.toml").read_text("utf-8"))
    points = project["project"]["entry-points"]["wdattn.papers"]
    assert points == {"nobody1900": "nobody1900"}
    for package in project["tool"]["setuptools"]["packages"]:
        assert (laid.parent / package.replace(".", "/") / "__init__.py").exists()
    for path in laid.rglob("*.py"):
        assert "$" not in path.read_text("utf-8")


def test_its_claim_is_judged_and_its_figure_drawn(laid, tmp_path):
    paper = importlib.import_module("nobody1900").PAPER
    (claim,) = paper.claims
    store = Store(tmp_path / "results" / paper.key)
    requests = [
        Request(claim.experiment, arm, (0, 1), column)
        for control in (False, True)
        for arm, column in claim.reading(control)
    ]
    (figure,) = paper.figures
    requests += [
        Request(figure.experiment, arm, (0, 1), column)
        for arm in figure.arms.values()
        for column in figure.columns
    ]
    with store.writing():
        Executor(paper, "smoke", store).fulfil(requests)
    records = load(tmp_path / "results")
    found = judge(claim, records, scale="smoke")
    assert np.isfinite(found.parts[0].effect)
    at_scale = figure.experiment.at("smoke")
    shown = {
        label: [records.find(at_scale.run(arm, seed)) for seed in (0, 1)]
        for label, arm in figure.arms.items()
    }
    assert figure.draw(shown, "A note.").get_suptitle() == "Norm of the weights"


@pytest.mark.parametrize("key", ["Ahn2024", "ahn", "2024", "../x2024", ""])
def test_a_key_is_a_name_and_a_year(tmp_path, key):
    with pytest.raises(ValueError, match="`key` must be a name and a year"):
        papers.new_paper(key, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(laid):
    with pytest.raises(ValueError, match="must not hold 'nobody1900' yet"):
        papers.new_paper("nobody1900", laid.parent)
    with pytest.raises(ValueError, match="`key` must be a new one"):
        papers.new_paper(papers.keys()[0], laid.parent)
