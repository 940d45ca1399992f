"""Writers of the safetensors format, and small models in Hugging Face's names."""

import json
import struct

import numpy as np
import pytest

KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def write(path, tensors, kind="F32", metadata=True):
    """A safetensors file: length of the header, header, bytes."""
    header, blob = {"__metadata__": {"format": "pt"}} if metadata else {}, b""
    for name, values in tensors.items():
        values = np.array(values, order="C")
        if kind == "BF16":  # rounds towards zero, which the tests' values do not mind
            data = (np.atleast_1d(values).astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        else:
            data = values.astype(KINDS[kind]).tobytes()
        offsets = [len(blob), len(blob) + len(data)]
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": offsets}
        blob += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob)
    return path


@pytest.fixture
def safetensors():
    return write
