"""The tutorials run on the backend in use, and their notebooks are made from the sources."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("build", ROOT / "tutorials" / "build.py")
build = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(build)

SOURCES = build.sources()
tutorial = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)


def stored(path):
    return nbformat.read(path.with_suffix(".ipynb"), as_version=4)


def outputs(found):
    return [output for cell in found.cells for output in cell.get("outputs", ())]


def test_the_tutorials_are_found_in_their_order():
    numbers = [path.stem[:2] for path in SOURCES]
    assert numbers == sorted(set(numbers)) and {"00", "01", "02", "03", "08"} <= set(numbers)
    assert [path.stem for path in build.sources(["03", "08_your"])] == [
        "03_weight_decay_you_can_see",
        "08_your_model_under_the_gauges",
    ]


@pytest.mark.slow
@tutorial
def test_it_runs_as_a_plain_script(path, tmp_path):
    environment = os.environ | {"WDATTN_SCALE": "smoke", "PYTHONPATH": str(ROOT)}
    environment.pop("JAX_ENABLE_X64", None)  # a reader has it not
    command = [sys.executable, str(path)]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert f"{path.name}:" not in ran.stderr, ran.stderr[-3000:]  # a warning of a line of it


@tutorial
def test_the_notebook_is_that_of_the_source(path):
    made, found = build.notebook(path), stored(path)
    for cell in [*made.cells, *found.cells]:
        cell.pop("outputs", None), cell.pop("execution_count", None)
    assert made.cells == found.cells, f"{path.stem}: `make tutorials` makes it anew"
    assert made.metadata == found.metadata


@tutorial
def test_the_notebook_was_executed_without_a_warning(path):
    found = stored(path)
    counts = [cell.execution_count for cell in found.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    kinds = {output.output_type for output in outputs(found)}
    assert kinds <= {"stream", "display_data", "execute_result"}
    assert all(output.get("name") != "stderr" for output in outputs(found))


@tutorial
def test_the_notebook_is_small_and_its_pictures_have_words(path):
    assert path.with_suffix(".ipynb").stat().st_size < build.LARGEST
    cells = build.pictured(stored(path))  # raises where the words are missing
    assert cells
    for cell in cells:
        for output in build.images(cell):
            assert output.metadata["image/png"]["alt"] == cell.metadata["alt"]


@tutorial
def test_a_reader_finds_the_usual_parts(path):
    text = path.read_text("utf-8")
    first = next(cell.source for cell in build.notebook(path).cells if cell.cell_type == "code")
    assert first.startswith('import os\n\nos.environ.setdefault("KERAS_BACKEND", "jax")')
    assert 'pip install "jax[cuda13]"' in first
    assert text.count("**Guess first") >= 3
    assert "## Exercises" in text and "<details><summary>Answers</summary>" in text
    for name in re.findall(r"\]\((\w+)\.ipynb\)", text):
        assert (ROOT / "tutorials" / f"{name}.ipynb").exists(), name


@tutorial
def test_the_page_has_buttons_and_every_picture(path):
    found = stored(path)
    text, files = build.page(found, path.stem)
    assert f"]({path.stem}.ipynb){{" in text
    assert f"colab.research.google.com/github/{build.repository()}/blob/main/tutorials/" in text
    shown = re.findall(r"!\[(.*?)\]\((.*?)\)", text)
    assert sorted(file for _, file in shown) == sorted(files)
    assert [alt for alt, _ in shown] == [cell.metadata["alt"] for cell in build.pictured(found)]
    assert not re.findall(r"\]\([^)]*\.ipynb\)(?!\{)", text)  # but for the buttons


def cells(*outputs, alt=None):
    metadata = {} if alt is None else {"alt": alt}
    code = nbformat.v4.new_code_cell("draw()", outputs=list(outputs), metadata=metadata)
    title = nbformat.v4.new_markdown_cell("# A title\n\nText.")
    return nbformat.v4.new_notebook(cells=[title, code])


def output(text):
    return nbformat.v4.new_output("stream", name="stderr", text=text)


def test_a_picture_without_words_is_refused():
    picture = nbformat.v4.new_output("display_data", {"image/png": "iVBORw0KGgo="})
    with pytest.raises(ValueError, match="this cell draws"):
        build.pictured(cells(picture))
    assert len(build.pictured(cells(picture, alt="A curve"))) == 1


def test_a_warning_is_refused_and_the_log_of_a_library_dropped():
    assert build.is_chatter(output("I0000 00:00:17 12 port.cc:153] oneDNN is on.\n"))
    assert not build.is_chatter(nbformat.v4.new_output("stream", name="stdout", text="12\n"))
    with pytest.raises(ValueError, match="UserWarning"):
        build.is_chatter(output("cell.py:1: UserWarning: beware\n"))


def test_a_notebook_is_the_same_each_time():
    first, second = (json.dumps(build.notebook(SOURCES[0])) for _ in range(2))
    assert first == second


def test_an_unknown_name_is_told():
    with pytest.raises(SystemExit, match="no tutorial begins with 77"):
        build.main(["run", "77"])
