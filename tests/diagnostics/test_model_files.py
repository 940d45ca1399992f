import importlib.util
import json
import os
import re
import sys
import types
import warnings
import zipfile

import keras
import numpy as np
import pytest

import wdattn.models
from wdattn import install
from wdattn.diagnostics import load_model


@pytest.fixture
def saved(tmp_path):
    """A file with a layer of Keras' own, compiled."""
    inputs = keras.Input((3, 4))
    outputs = keras.layers.MultiHeadAttention(2, 2, name="attention")(inputs, inputs)
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse")
    model.save(tmp_path / "model.keras")
    return model, tmp_path / "model.keras"


def test_a_file_comes_back_with_its_weights(saved):
    model, path = saved
    read = load_model(path)
    assert not read.compiled
    for old, new in zip(model.get_weights(), read.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_file_that_holds_our_layers(tmp_path):
    model = wdattn.models.LinearTransformer(depth=1, dim=2, seed=0)
    model.save(tmp_path / "ours.keras")
    assert len(load_model(str(tmp_path / "ours.keras")).weights) == len(model.weights)


def naming(path, package):
    """A file whose configuration names a class of a package."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"registered_name": f"{package}>Backbone"}))
    return path


@pytest.mark.parametrize(
    ("package", "extra"), [("keras_hub", "hub"), ("keras_nlp", "hub"), ("keras_cv", "cv")]
)
def test_a_missing_package_is_told_with_the_line_to_type(monkeypatch, tmp_path, package, extra):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name: None if name.startswith("keras_") else real(name))  # fmt: skip
    line = re.escape(install.missing(extra))
    with pytest.raises(ValueError, match=f"{package} is not installed; type: {line}"):
        load_model(naming(tmp_path / "x.keras", package))
    with pytest.raises(ValueError, match="keras_hub is not installed"):
        load_model("bert_base_en")


def test_a_preset_goes_to_keras_hub_or_else_to_keras_nlp(monkeypatch):
    asked = []
    hub = types.ModuleType("keras_nlp")
    model = keras.Sequential()
    hub.models = types.SimpleNamespace(
        Backbone=types.SimpleNamespace(from_preset=lambda name: asked.append(name) or model)
    )
    monkeypatch.setitem(sys.modules, "keras_nlp", hub)
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name: True if name == "keras_nlp" else None)  # fmt: skip
    assert load_model("bert_base_en") is model
    assert asked == ["bert_base_en"]
    hub.models.Backbone.from_preset = lambda name: {}["a\x1b\nb"]
    with pytest.raises(ValueError, match="a preset that keras_nlp can load, got 'x': KeyError: 'a"):
        load_model("x")


def test_a_file_that_is_not_there():
    with pytest.raises(ValueError, match=r"got 'gone.keras': no file"):
        load_model("gone.keras")


@pytest.mark.parametrize("name", ["model.h5", "model.bin"])
def test_a_file_of_another_kind(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"`source` must end with .keras, .safetensors"):
        load_model(tmp_path / name)


def test_a_file_that_is_no_archive(tmp_path):
    (tmp_path / "x.keras").write_text("no")
    with pytest.raises(ValueError, match="must be a model that Keras 3 saved"):
        load_model(tmp_path / "x.keras")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.keras")
    with pytest.raises(ValueError, match="`source` must be a file or a preset.*no file"):
        load_model(tmp_path / "x.keras")


def changed(path, name, content):
    """The file with another content in one of its parts."""
    with zipfile.ZipFile(path) as archive:
        parts = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for each, old in parts.items():
            archive.writestr(each, content if each == name else old)
    return path


def test_a_users_own_layer(saved):
    _, path = saved
    with zipfile.ZipFile(path) as archive:
        text = archive.read("config.json").decode()
    own = '"module": "not.there", "class_name": "Own"'
    text = text.replace('"module": "keras.layers", "class_name": "MultiHeadAttention"', own)
    with pytest.raises(ValueError, match="it holds 'Own', which Keras does not know. In Python"):
        load_model(changed(path, "config.json", text))


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"class_name": ["Sequential"]},
        {"class_name": "Dense", "module": "keras.layers", "config": {"units": 2}},
        {"class_name": "Adam", "module": "keras.optimizers", "config": {}},
        {"class_name": "Sequential", "module": "keras", "config": {"layers": None}},
        {"class_name": "__tensor__", "config": {"value": [1], "dtype": ["float32"]}},
    ],
)
def test_a_configuration_of_something_else(saved, config):
    _, path = saved
    with pytest.raises(ValueError, match="must be a model that Keras can load") as told:
        load_model(changed(path, "config.json", json.dumps(config)))
    assert str(told.value).isprintable()


def test_weights_of_another_kind(saved):
    _, path = saved
    with pytest.raises(ValueError, match="must be a model that Keras can load") as told:
        load_model(changed(path, "model.weights.h5", b"no weights"))
    assert str(told.value).isprintable()


def test_what_keras_warns_of_is_passed_on(saved, monkeypatch):
    def load(*args, **kwargs):
        warnings.warn("not all weights", stacklevel=1)
        return saved[0]

    monkeypatch.setattr(keras.saving, "load_model", load)
    with pytest.warns(UserWarning, match="not all weights"):
        load_model(saved[1])
