"""Papers are found: folders of the room, and packages that somebody has installed."""

import importlib
import shutil
import sys
from pathlib import Path

import pytest

from wdattn import papers
from wdattn.reproduction import Settings
from wdattn.reproduction.design import discovery

TOY = Path(__file__).parents[1] / "toy2024"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a paper as pip does: its package, and beside it what tells of its entry point."""

    def made(key="elsewhere2025", package="elsewhere", text=None):
        shutil.copytree(TOY, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
        init = tmp_path / package / "__init__.py"
        init.write_text(init.read_text("utf-8").replace("toy2024", key) if text is None else text)
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{discovery.GROUP}]\n{key} = {package}\n")
        monkeypatch.syspath_prepend(tmp_path)
        return tmp_path / package

    before = set(sys.modules)
    yield made
    for name in set(sys.modules) - before:
        if name.split(".")[0] in {path.name for path in tmp_path.iterdir()}:
            del sys.modules[name]
    importlib.invalidate_caches()


def test_each_folder_with_a_package_is_a_paper():
    folders = Path(papers.__file__).parent.iterdir()
    assert set(papers.keys()) == {path.name for path in folders if (path / "__init__.py").exists()}
    for key in papers.keys():
        assert papers.lookup(key).key == key


def test_an_unknown_key_raises_and_lists():
    with pytest.raises(ValueError, match=r"`key` must be one of .*, got 'nobody1900'"):
        papers.lookup("nobody1900")


def test_an_installed_paper_is_found(install):
    before = papers.keys()
    install()
    assert papers.keys() == tuple(sorted([*before, "elsewhere2025"]))
    assert "elsewhere" not in sys.modules  # asking for keys runs no code
    paper = papers.lookup("elsewhere2025")
    assert [claim.id for claim in paper.claims] == ["C1", "C2", "C3"]
    assert {"smoke", "laptop", "paper"} <= set(papers.scales())


def test_its_settings_can_be_named_by_a_record_and_those_of_no_other_package(install):
    install()
    packed = {"class": "elsewhere.settings:Toy", "steps": 3}
    assert Settings.unpacked(packed).steps == 3
    for module in ("elsewhere.system", "elsewhere.measures", "stranger.settings"):
        with pytest.raises(LookupError, match="is not a settings class that is known here"):
            Settings.unpacked({"class": f"{module}:Toy", "steps": 3})
        assert module not in sys.modules


def test_its_code_is_in_the_build_of_its_runs(install):
    from wdattn.reproduction.run import digest

    folder = install()
    paper = papers.lookup("elsewhere2025")
    run = paper.claims[0].experiment.at("smoke").run({}, 0)

    def build():
        digest._digest.cache_clear()
        digest._parse.cache_clear()
        return paper.build(run)

    before = build()
    finding = folder / "findings" / "momentum.py"
    finding.write_text(finding.read_text() + "\nLIMIT = 1\n")
    assert build() == before
    system = folder / "system.py"
    system.write_text(system.read_text().replace("0.1 * (1", "0.2 * (1"))
    assert build() != before


def test_a_key_that_is_taken_raises(install):
    install(key=papers.keys()[0])
    with pytest.raises(ValueError, match="of elsewhere must have a key of its own"):
        papers.keys()


def test_a_package_without_its_paper_raises(install):
    install(text="PAPER = 3\n")
    with pytest.raises(ValueError, match="elsewhere must have a `PAPER` of key 'elsewhere2025'"):
        papers.lookup("elsewhere2025")
