"""A writer of the safetensors format, for the tests of the rooms that read it."""

import json
import struct

import numpy as np

KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def write_safetensors(path, tensors, kind="F32", metadata=True):
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
