"""The code of README and guides runs, and does what the text around it says."""

import re
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from docs.generators import pip_lines
from wdattn import install

ROOT = Path(__file__).parents[1]


def python(page):
    """The blocks of Python on a page."""
    text = (ROOT / page).read_text("utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def run():
    """`run(page)` runs the blocks of a page one after the other and returns their names."""

    def blocks(page):
        names = {}
        for block in python(page):
            exec(block, names)
        return names

    return blocks


def test_linear_attention(run):
    names = run("docs/guides/linear-attention.md")
    for one in names["found"][1:]:
        np.testing.assert_allclose(one, names["found"][0], rtol=1e-4, atol=1e-5)  # float32
    whole = np.concatenate([ops.convert_to_numpy(names[part]) for part in ("first", "rest")], 1)
    np.testing.assert_allclose(whole, names["found"][0], rtol=1e-4, atol=1e-5)


def test_second_derivatives(run):
    names = run("docs/guides/second-derivatives.md")
    product = np.concatenate([ops.convert_to_numpy(p).ravel() for p in names["product"]])
    difference = np.concatenate([np.ravel(d) for d in names["difference"]])
    # The text says three digits in float32.
    assert np.linalg.norm(product - difference) < 2e-3 * np.linalg.norm(difference)


def test_from_keras_adamw(run, capsys):
    names = run("docs/guides/from-keras-adamw.md")
    assert "head/kernel" in capsys.readouterr().out
    model, x = names["model"], np.ones((8, 4), "float32")
    model.fit(x, x[:, :1], verbose=0)


def test_weight_decay(run, capsys):
    run("docs/guides/weight-decay.md")
    printed = capsys.readouterr().out
    assert "only 'gamma' is excluded" in printed and "head/bias" in printed


def test_readme(capsys):
    """Each block prints: what a reader runs as a script must be seen."""
    names, printed = {}, []
    for block in python("README.md"):
        exec(block, names)
        printed.append(capsys.readouterr().out)
    assert len(printed) == 3 and all(printed)
    fitted, condition, table = printed
    losses = [float(loss) for loss in re.findall(r"loss: (\S+)\n", fitted)]
    assert len(losses) == 5 and losses[-1] < losses[0] / 10
    assert float(condition) > 1
    shares = dict(re.findall(r"^\S*block/(\S+) .* no_bias_norm +(\S+)", table, re.MULTILINE))
    assert shares["attention/query/kernel"] == "0.1"
    assert shares["attention/query/bias"] == shares["attention_norm/gamma"] == "—"


@pytest.mark.parametrize("place", pip_lines.PLACES)
def test_every_text_has_the_line_that_installs_wdattn_today(place, monkeypatch):
    found = [path.read_text("utf-8") for path in sorted(ROOT.glob(place))]
    assert found
    renewed = [pip_lines.renewed(text) for text in found]
    assert renewed == found, "python -m docs.generators.pip_lines writes it anew"
    monkeypatch.setattr(install, "REQUIREMENT", "wdattn[{extra}]")
    published = "".join(map(pip_lines.renewed, found))
    assert "git+" not in published and 'pip install "wdattn[jax]"' in published.replace("\\", "")
