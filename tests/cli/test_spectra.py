"""`wdattn spectra`: what it prints, refuses and draws."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from wdattn import cli, models
from wdattn.cli import spectra as spectra_command

BACKEND = keras.backend.backend()


@pytest.fixture(autouse=True)
def width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def refused(capsys, arguments):
    """The one line on standard error with which the command ends."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.endswith("\n")
    return err


@pytest.fixture
def attention_file(tmp_path):
    """A saved model with one attention layer of two heads."""
    inputs = keras.Input((3, 6))
    attention = keras.layers.MultiHeadAttention(2, 4, name="attention")
    keras.Model(inputs, attention(inputs, inputs)).save(tmp_path / "model.keras")
    return tmp_path / "model.keras", attention


def test_formats(capsys, attention_file):
    path, attention = attention_file
    said = {}
    for form in spectra_command.FORMATS:
        command = ["spectra", str(path), "--format", form, "--backend", BACKEND]
        assert cli.main(command) == 0
        said[form] = capsys.readouterr().out
    rows = json.loads(said["json"])
    assert [(row["layer"], row["product"], row["head"]) for row in rows] == [
        ("attention", "key_query", 0), ("attention", "key_query", 1),
        ("attention", "value_output", 0), ("attention", "value_output", 1),
    ]  # fmt: skip
    query, _, key, *_ = attention.get_weights()
    dense = np.linalg.svd(key[:, 1].astype("float64") @ query[:, 1].T, compute_uv=False)
    np.testing.assert_allclose(rows[1]["singular_values"], dense[:4], rtol=1e-12)
    assert {"pseudo_rank", "balancedness", "nuclear_ratio"} <= rows[0].keys()
    assert said["csv"].count("\n") == 5 and said["csv"].startswith("index,layer,head,")
    assert (
        "\n0: attention\nKQ 0 " in said["table"] and "KQ, VO: W_Kᵀ W_Q and P W_V" in said["table"]
    )


def test_of_one_layer_with_biases_and_a_figure(capsys, attention_file, tmp_path):
    path, attention = attention_file
    attention.set_weights([np.ones_like(weight) for weight in attention.get_weights()])
    figure = tmp_path / "heads.png"
    line = ["spectra", str(path), "--layer", "0", "--format", "json", "--backend", BACKEND]
    assert cli.main([*line, "--biases", "--figure", str(figure)]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)[0]["left_rows"] == 7 and err == f"figure: {figure}\n"
    assert figure.read_bytes().startswith(b"\x89PNG")
    line[3] = "1"
    assert "`layer` must be None or an int in 0 to 0" in refused(capsys, line)
    assert "not supported" in refused(capsys, [*line[:2], "--figure", "x.doc", *line[6:]])


def test_of_the_papers_linear_transformer(capsys, tmp_path):
    models.LinearTransformer(depth=2, dim=3, seed=0).save(tmp_path / "$x$.keras")
    command = ["spectra", str(tmp_path / "$x$.keras"), "--backend", BACKEND]
    assert cli.main(command) == 0
    table = capsys.readouterr().out
    assert "\n1: linear_transformer/attention_1\n" in table and table.count(" no factors\n") == 4
    assert cli.main([*command, "--figure", str(tmp_path / "x.png"), "--format", "csv"]) == 0
    assert capsys.readouterr().out.count("\n") == 5


def test_of_a_model_without_attention(capsys, tmp_path):
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "m.keras")
    line = refused(capsys, ["spectra", str(tmp_path / "m.keras"), "--backend", BACKEND])
    assert "must hold attention layers that wdattn knows, got none" in line


def test_safetensors_load_no_keras(tmp_path):
    header = {
        f"h.0.attn.{name}.weight": {"dtype": "F32", "shape": shape, "data_offsets": offsets}
        for name, shape, offsets in (("c_attn", [4, 12], [0, 192]), ("c_proj", [4, 4], [192, 256]))
    }
    text = json.dumps(header).encode()
    numbers = np.random.default_rng(0).normal(size=64).astype("<f4").tobytes()
    path, figure = tmp_path / "m.safetensors", tmp_path / "heads.svg"
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    code = f"""
import sys
from wdattn.cli import main
main(["spectra", {str(path)!r}, "--heads", "2", "--figure", {str(figure)!r}])
print(sorted({{"keras", "jax", "tensorflow", "torch"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert figure.read_text("utf-8").startswith("<?xml")
