"""The code of the guides runs, and does what the text around it says."""

import re
from pathlib import Path

import numpy as np
import pytest
from keras import ops

GUIDES = Path(__file__).parents[1] / "docs" / "guides"


@pytest.fixture
def run():
    """`run(name)` runs the blocks of a guide one after the other and returns their names."""

    def blocks(name):
        names = {}
        text = (GUIDES / f"{name}.md").read_text("utf-8")
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            exec(block, names)
        return names

    return blocks


def test_linear_attention(run):
    names = run("linear-attention")
    for one in names["found"][1:]:
        np.testing.assert_allclose(one, names["found"][0], rtol=1e-4, atol=1e-5)  # float32
    whole = np.concatenate([ops.convert_to_numpy(names[part]) for part in ("first", "rest")], 1)
    np.testing.assert_allclose(whole, names["found"][0], rtol=1e-4, atol=1e-5)


def test_second_derivatives(run):
    names = run("second-derivatives")
    product = np.concatenate([ops.convert_to_numpy(p).ravel() for p in names["product"]])
    difference = np.concatenate([np.ravel(d) for d in names["difference"]])
    # The text says three digits in float32.
    assert np.linalg.norm(product - difference) < 2e-3 * np.linalg.norm(difference)


def test_from_keras_adamw(run, capsys):
    names = run("from-keras-adamw")
    assert "head/kernel" in capsys.readouterr().out
    model, x = names["model"], np.ones((8, 4), "float32")
    model.fit(x, x[:, :1], verbose=0)


def test_weight_decay(run, capsys):
    run("weight-decay")
    printed = capsys.readouterr().out
    assert "only 'gamma' is excluded" in printed and "head/bias" in printed
