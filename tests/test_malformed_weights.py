"""Files that somebody else made: whatever is wrong with one, `wdattn spectra` tells in one line."""

import contextlib
import copy
import io
import json
import struct
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.weight_files import write_safetensors
from wdattn import cli, models

# The same examples at each run; a slow machine is no failure.
STEADY = {"derandomize": True, "deadline": None, "database": None}


def check(path):
    """The command prints spectra, or ends with one line that a terminal may be shown."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(["spectra", str(path), "--backend", keras.backend.backend()])
        except SystemExit as ended:
            code = ended.code
    said = out.getvalue() if code == 0 else err.getvalue()
    assert said.isascii() or said.replace("\n", "").isprintable()
    assert "\x1b" not in said
    if code != 0:
        assert code == 2 and out.getvalue() == ""
        assert said.startswith("wdattn spectra: error: ") or said.startswith("wdattn: error: ")
        assert said.count("\n") == 1 and len(said) < 2500
    else:
        assert "KQ 0" in said
    return code


# Numbers are small or beyond any memory: in between a model that can be had would be made.
SCALARS = st.none() | st.booleans() | st.integers(-3, 40) | st.text(max_size=8)
JUNK = st.one_of(
    st.sampled_from([None, True, 0, 1, 3, 7, -1, 2**62, 2**70, 0.5, 1e308, "", "\x1b[31m\n", "..",
                     "F32", "I8", "/etc/passwd", "$x$", "a" * 3000, [], {}, [[]], ["F32"], [0, 0],
                     [None], [0.0, 4.0], {"a": None}, {"a": {"a": [{}]}}]),
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.text(max_size=4), SCALARS, max_size=3),
)  # fmt: skip


def paths(tree, path=()):
    """The paths to all values of a JSON tree."""
    yield path
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from paths(value, (*path, key))


@st.composite
def broken_trees(draw, tree):
    """A JSON tree of which one or two values were replaced or taken out."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 2))):
        *road, last = draw(st.sampled_from([path for path in paths(tree) if path] or [("a",)]))
        parent = tree
        for key in road:
            parent = parent[key]
        if not isinstance(parent, dict | list) or not parent:
            return tree
        if draw(st.integers(0, 4)):
            parent[last] = copy.deepcopy(draw(JUNK))
        else:
            del parent[last]
    return tree


@st.composite
def broken_bytes(draw, data):
    """Bytes of which one bit was turned, some were replaced, taken out, doubled, or cut off."""
    start = draw(st.integers(0, len(data) - 1))
    stop = min(len(data), start + draw(st.integers(1, 9)))
    match draw(st.sampled_from(["bit", "bit", "replace", "out", "twice", "cut"])):
        case "bit":
            bit = data[start] ^ (1 << draw(st.integers(0, 7)))
            return data[:start] + bytes([bit]) + data[start + 1 :]
        case "replace":
            return data[:start] + draw(st.binary(min_size=stop - start, max_size=stop - start)) + (
                data[stop:])  # fmt: skip
        case "out":
            return data[:start] + data[stop:]
        case "twice":
            return data[:stop] + data[start:]
        case _:
            return data[:start]


def header_and_rest(data):
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def safetensors_bytes(names_and_shapes):
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        tensors = {name: rng.normal(size=shape) for name, shape in names_and_shapes.items()}
        return write_safetensors(path, tensors).read_bytes()


GPT2 = safetensors_bytes({"h.0.attn.c_attn.weight": (4, 12), "h.0.attn.c_attn.bias": (12,),
                          "h.0.attn.c_proj.weight": (4, 4), "wte.weight": (3, 4)})  # fmt: skip
LLAMA = safetensors_bytes({f"model.layers.0.self_attn.{part}_proj.weight": (rows, 8)
                           for part, rows in zip("qkvo", (8, 4, 4, 8), strict=True)})  # fmt: skip
CONFIG = {"num_attention_heads": 2, "partial_rotary_factor": 1.0}


def check_safetensors(data, config=CONFIG, index=None):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(data)
        (Path(folder) / "config.json").write_text(json.dumps(config))
        if index is not None:
            path = Path(folder) / "model.safetensors.index.json"
            path.write_text(json.dumps(index))
        return check(path)


@pytest.mark.parametrize("data", [GPT2, LLAMA], ids=["gpt2", "llama"])
def test_the_files_are_good_before_they_are_broken(data):
    assert check_safetensors(data) == 0


@settings(max_examples=200, **STEADY)
@given(st.data())
def test_headers_of_safetensors(data):
    header, rest = header_and_rest(data.draw(st.sampled_from([GPT2, LLAMA])))
    text = json.dumps(data.draw(broken_trees(header))).encode()
    check_safetensors(struct.pack("<Q", len(text)) + text + rest)


@settings(max_examples=200, **STEADY)
@given(st.sampled_from([GPT2, LLAMA]).flatmap(broken_bytes))
def test_bytes_of_safetensors(data):
    check_safetensors(data)


@settings(max_examples=60, **STEADY)
@given(broken_trees(CONFIG))
def test_configurations_beside_safetensors(config):
    check_safetensors(LLAMA, config)


@settings(max_examples=60, **STEADY)
@given(broken_trees({"metadata": {}, "weight_map": dict.fromkeys(
    sorted(header_and_rest(GPT2)[0].keys() - {"__metadata__"}), "model.safetensors")}))  # fmt: skip
def test_indices_of_safetensors(index):
    check_safetensors(GPT2, index=index)


@pytest.fixture(scope="module")
def archives():
    """The parts of two saved models."""
    inputs = keras.Input((3, 4))
    attention = keras.layers.MultiHeadAttention(2, 2, name="attention")(inputs, inputs)
    plain = keras.Model(inputs, keras.layers.Dense(1, name="dense")(attention), name="plain")
    models_parts = []
    with tempfile.TemporaryDirectory() as folder:
        for model in (plain, models.LinearTransformer(1, 2, seed=0, name="linear")):
            model.set_weights([np.ones(weight.shape) for weight in model.weights])
            path = Path(folder) / "x.keras"
            model.save(path)
            with zipfile.ZipFile(path) as archive:
                parts = {name: archive.read(name) for name in archive.namelist()}
            models_parts.append(parts | {"metadata.json": b"{}"})  # it has the date
    return models_parts


def packed(parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def check_keras(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(data)
        return check(path)


def test_the_models_are_good_before_they_are_broken(archives):
    assert [check_keras(packed(parts)) for parts in archives] == [0, 0]


@settings(max_examples=60, **STEADY)
@given(data=st.data())
def test_configurations_of_keras(archives, data):
    parts = data.draw(st.sampled_from(archives))
    config = data.draw(broken_trees(json.loads(parts["config.json"])))
    check_keras(packed(parts | {"config.json": json.dumps(config)}))


@settings(max_examples=60, **STEADY)
@given(data=st.data())
def test_bytes_of_keras(archives, data):
    parts = dict(data.draw(st.sampled_from(archives)))
    match data.draw(st.sampled_from(["archive", "weights", "part"])):
        case "archive":
            check_keras(data.draw(broken_bytes(packed(parts))))
            return
        case "weights":
            parts["model.weights.h5"] = data.draw(broken_bytes(parts["model.weights.h5"]))
        case _:
            del parts[data.draw(st.sampled_from(list(parts)))]
    check_keras(packed(parts))
