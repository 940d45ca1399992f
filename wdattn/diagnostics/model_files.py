"""Opens a whole Keras model: a `.keras` file, or a preset of keras_hub."""

import importlib
import importlib.util
import zipfile
from pathlib import Path

import keras

from wdattn import install

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
        ValueError: if there is no such file or preset, or its package is not installed.
        OSError: if a file cannot be read, or the weights of a preset cannot be fetched.
    """
    path = Path(source)
    if path.suffix == ".keras":
        if not path.is_file():
            raise ValueError(f"`source` must be a file or a preset, got {str(source)!r}: no file")
        for package in _packages(path):
            _import(package)
        return keras.saving.load_model(path, compile=False)
    if path.is_file():
        raise ValueError(
            f"`source` must end with .keras, .safetensors or .safetensors.index.json, or be the "
            f"name of a preset, got {str(source)!r}"
        )
    name = next((hub for hub in _HUB if importlib.util.find_spec(hub)), _HUB[0])
    return _import(name).models.Backbone.from_preset(str(source))


def _packages(path: Path) -> list[str]:
    """The optional packages that a file's configuration names."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = archive.read("config.json").decode("utf-8")
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"{path} must be a model that Keras 3 saved, got {error}") from None
    return [name for name in (*_HUB, "keras_cv") if f'"{name}.' in config or f'"{name}>' in config]


def _import(package: str):
    if importlib.util.find_spec(package) is None:
        extra = "cv" if package == "keras_cv" else "hub"
        raise ValueError(f"{package} is not installed; type: {install.missing(extra)}")
    return importlib.import_module(package)
