"""Readers of weight files, with NumPy alone: neither Keras nor a backend is loaded.

A file may come from anywhere. It is opened only if it is a plain file, its sizes are bounded before
anything is inflated, and what does not fit raises a `ValueError` of one line.
"""

from wdattn.weights.keras_archive import keras_config
from wdattn.weights.names import escaped
from wdattn.weights.plain_files import open_plain, read_json
from wdattn.weights.safetensors import Safetensors, is_safetensors

__all__ = [
    "Safetensors",
    "escaped",
    "is_safetensors",
    "keras_config",
    "open_plain",
    "read_json",
]
