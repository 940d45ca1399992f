"""Opens a whole Keras model: a `.keras` file, or a preset of keras_hub."""

import importlib
import importlib.util
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from wdattn import arguments, install
from wdattn.weights import escaped, keras_config

# In the order in which they are tried: keras_nlp is the name that keras_hub had before.
_HUB = ("keras_hub", "keras_nlp")


def load_model(source: str | Path) -> keras.Model:
    """The model of a `.keras` file or of a preset of keras_hub.

    A package whose layers the file holds (keras_hub, keras_nlp, keras_cv) is imported first, since
    Keras itself imports none; wdattn's own classes are known once `wdattn.layers` and
    `wdattn.models` are imported.

    Args:
        source: path of a `.keras` file; or what `keras_hub.models.Backbone.from_preset` takes: the
            name of a preset, a folder that holds one, or "hf://" and a model of Hugging Face.

    Returns:
        The built model, not compiled.

    Raises:
        ValueError: if there is no such file or preset, its package is not installed, or it cannot
            be loaded, whatever the reason: the message is one line, with Keras' own in it.
        OSError: if a file cannot be read.
    """
    path = arguments.path("source", source)
    if path.suffix == ".keras":
        if not path.is_file():
            raise ValueError(f"`source` must be a file or a preset, got {str(source)!r}: no file")
        for package in _packages(keras_config(path)):
            _import(package)
        return _opened(
            lambda: keras.saving.load_model(path, compile=False),
            f"{path} must be a model that Keras can load",
        )
    if path.is_file():
        raise ValueError(
            f"`source` must end with .keras, .safetensors or .safetensors.index.json, or be the "
            f"name of a preset, got {str(source)!r}"
        )
    name = next((hub for hub in _HUB if importlib.util.find_spec(hub)), _HUB[0])
    backbone = _import(name).models.Backbone
    return _opened(
        lambda: backbone.from_preset(str(source)),
        f"`source` must be a file or a preset that {name} can load, got {str(source)!r}",
    )


def _opened(load: Callable[[], Any], must: str) -> keras.Model:
    """What `load` gives, if it is a built model; what goes wrong inside of it in one line."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            model = load()
        # A file from elsewhere makes Keras, h5py and the layers raise whatever there is.
        except Exception as error:
            raise ValueError(f"{must}: {_reason(error)}") from error
    if not isinstance(model, keras.Model):
        raise ValueError(f"{must}: it holds no model, but {escaped(type(model).__name__)}")
    for one in told:  # such as weights that were left as they start
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return model


def _reason(error: Exception) -> str:
    """One line on what went wrong. Keras wraps an error in others, each with a configuration."""
    text = " ".join(str(error).split())
    if unknown := re.search(r"Could not (?:locate|deserialize) (?:class|function) '([^']*)'", text):
        return (
            f"it holds {escaped(unknown[1])!r}, which Keras does not know. In Python, import the "
            "package that defines it, load the model and call wdattn.diagnostics.attention_layers"
        )
    return escaped(f"{type(error).__name__}: {text.rpartition('Exception encountered: ')[2]}")


def _packages(config: dict) -> list[str]:
    """The optional packages that a file's configuration names."""
    text = json.dumps(config)
    return [name for name in (*_HUB, "keras_cv") if f'"{name}.' in text or f'"{name}>' in text]


def _import(package: str):
    if importlib.util.find_spec(package) is None:
        extra = "cv" if package == "keras_cv" else "hub"
        raise ValueError(f"{package} is not installed; type: {install.missing(extra)}")
    return importlib.import_module(package)
