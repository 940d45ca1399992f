import importlib.util
import json
import sys
import types
import zipfile

import keras
import numpy as np
import pytest

import wdattn.models
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
    found = load_model(path)
    assert not found.compiled
    for old, new in zip(model.get_weights(), found.get_weights(), strict=True):
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
    with pytest.raises(ValueError, match=rf'{package} is not installed.*"wdattn\[{extra}\]"'):
        load_model(naming(tmp_path / "x.keras", package))
    with pytest.raises(ValueError, match="keras_hub is not installed"):
        load_model("bert_base_en")


def test_a_preset_goes_to_keras_hub_or_else_to_keras_nlp(monkeypatch):
    asked = []
    hub = types.ModuleType("keras_nlp")
    hub.models = types.SimpleNamespace(Backbone=types.SimpleNamespace(from_preset=asked.append))
    monkeypatch.setitem(sys.modules, "keras_nlp", hub)
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name: True if name == "keras_nlp" else None)  # fmt: skip
    load_model("bert_base_en")
    assert asked == ["bert_base_en"]


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
