"""The digest changes with code that can move a run's numbers, and with nothing else."""

import re
import shutil

import pytest

import wdattn
from wdattn.papers import lookup
from wdattn.reproduction.run import digest

PAPER = lookup("ahn2024")
RUN = PAPER.claims[0].experiment.at("smoke").run({}, 0)
LAYER = "layers/linear_self_attention.py"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package, as a checkout has it, that `build_digest` reads instead."""
    copy = tmp_path / "wdattn"
    shutil.copytree(digest.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(digest, "PACKAGE", copy)
    yield copy
    forget()


def forget():
    digest._digest.cache_clear()
    digest._parse.cache_clear()


def build():
    forget()
    return PAPER.build(RUN)


@pytest.fixture(scope="module")
def before():
    """The digest of the code as it is; a copy has the same."""
    return PAPER.build(RUN)


def edit(package, name, change):
    path = package / name
    old = path.read_text("utf-8") if path.exists() else ""
    new = change(old)
    assert new != old
    path.write_text(new, "utf-8")


def append(line):
    return lambda text: f"{text}\n{line}\n"


def test_it_is_short_and_hangs_on_no_place(package, before):
    assert re.fullmatch("[0-9a-f]{12}", before)
    assert build() == before


def test_an_installed_release_is_its_version(package):
    (package.parent / "pyproject.toml").unlink()
    assert build() == wdattn.__version__


@pytest.mark.parametrize(
    "name",
    [
        LAYER,
        "models/linear_transformer.py",
        "ops/gram_recursion.py",
        "initializers/normal.py",
        "data/in_context_regression.py",
        "optimizers/update_rules.py",
        "replicas/replicas.py",
        "replicas/stacked_step.py",
        "optimizers/update.py",
        "backend/__init__.py",
        "backend/_jax.py",
        "backend/_torch.py",
        "diagnostics/condition_number.py",
        "diagnostics/objective.py",
        "papers/ahn2024/settings.py",
        "papers/ahn2024/system.py",
        "papers/ahn2024/measures.py",
        "reproduction/run/training.py",
        "reproduction/run/cells.py",
    ],
)
def test_code_on_the_training_path_changes_it(package, before, name):
    assert (package / name).exists()
    edit(package, name, append("LIMIT = 1"))
    assert build() != before


def test_a_changed_line_changes_it(package, before):
    edit(package, "ops/gram_recursion.py", lambda text: " - ".join(text.rsplit(" + ", 1)))
    assert build() != before


@pytest.mark.parametrize(
    "name",
    [
        "plots/curves.py",
        "plots/style.py",
        "papers/ahn2024/findings/depth.py",
        "papers/ahn2024/experiments.py",
        "papers/ahn2024/arms.py",
        "papers/ahn2024/paper.py",
        "ledger/curve_figures.py",
        "ledger/reproduce.py",
        "reproduction/judge/judgement.py",
        "ledger/report.py",
        "reproduction/run/executor.py",
        "reproduction/run/store.py",
        "reproduction/run/archive.py",
        "cli/reproduce.py",
        "__init__.py",
        "__main__.py",
    ],
)
def test_code_that_only_judges_or_draws_does_not(package, before, name):
    assert (package / name).exists()
    edit(package, name, append("LIMIT = 1"))
    assert build() == before


@pytest.mark.parametrize(
    "name", [LAYER, "reproduction/run/training.py", "diagnostics/objective.py"]
)
def test_a_comment_does_not(package, before, name):
    edit(package, name, lambda text: text.replace("\n", "  # a comment\n", 1) + "# the end\n")
    assert build() == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (LAYER, "Call arguments:"),  # in a class's docstring
        ("reproduction/run/training.py", "Trains the members side by side"),  # in a function's
        ("reproduction/run/training.py", "The one training loop"),  # in a module's
        ("reproduction/design/watch.py", "Columns that need no measure"),  # below a name
    ],
)
def test_a_docstring_does_not(package, before, name, text):
    edit(package, name, lambda source: source.replace(text, "Other words"))
    assert build() == before


@pytest.mark.parametrize(
    ("room", "word"), [("layers", "layer"), ("models", "model"), ("diagnostics", "gauge")]
)
def test_a_new_class_in_another_module_does_not(package, before, room, word):
    edit(package, f"{room}/new_{word}.py", lambda _: f"def new_{word}():\n    return 1\n")
    edit(package, f"{room}/__init__.py", append(f"from wdattn.{room}.new_{word} import new_{word}"))
    assert build() == before
