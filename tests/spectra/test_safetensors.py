import json
import struct

import numpy as np
import pytest

from wdattn.spectra import Safetensors, is_safetensors


@pytest.mark.parametrize(
    ("kind", "digits"), [("F64", 0), ("F32", 2**-24), ("F16", 2**-11), ("BF16", 2**-7)]
)
def test_each_type_is_read_as_float64(rng, tmp_path, safetensors, kind, digits):
    tensors = {"a.weight": rng.normal(size=(3, 5)), "b": rng.normal(size=7), "c": np.ones(())}
    read = Safetensors(safetensors(tmp_path / "x.safetensors", tensors, kind))
    assert list(read) == list(tensors) and len(read) == 3
    assert "__metadata__" not in read
    for name, values in tensors.items():
        assert read[name].dtype == "float64" and read.shape(name) == values.shape
        np.testing.assert_allclose(read[name], values, rtol=digits)


def test_a_tensor_outlives_the_file_and_may_be_written_to(rng, tmp_path, safetensors):
    path = safetensors(tmp_path / "x.safetensors", {"a": rng.normal(size=4)}, "F64", metadata=False)
    values = Safetensors(path)["a"]
    path.unlink()
    values += 1


def test_names_and_shapes_are_known_without_reading(rng, tmp_path, safetensors, monkeypatch):
    read = Safetensors(safetensors(tmp_path / "x.safetensors", {"a": rng.normal(size=(2, 3))}))
    monkeypatch.setattr(np, "memmap", lambda *args, **kwargs: pytest.fail("reads"))
    assert "a" in read and "b" not in read and len(list(read)) == 1 and read.shape("a") == (2, 3)


def test_an_empty_tensor(tmp_path, safetensors):
    read = Safetensors(safetensors(tmp_path / "x.safetensors", {"a": np.zeros((0, 3))}))
    assert read["a"].shape == (0, 3)


def test_an_unknown_name(tmp_path, safetensors):
    with pytest.raises(KeyError):
        Safetensors(safetensors(tmp_path / "x.safetensors", {"a": np.ones(2)}))["b"]


def test_several_files_by_their_index(rng, tmp_path, safetensors):
    a, b, c = rng.normal(size=(3, 4))
    safetensors(tmp_path / "m-1.safetensors", {"a": a, "unlisted": c}, "F64")
    safetensors(tmp_path / "m-2.safetensors", {"b": b}, "F64")
    index = tmp_path / "model.safetensors.index.json"
    places = {"a": "m-1.safetensors", "b": "m-2.safetensors"}
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    read = Safetensors(index)
    assert set(read) == {"a", "b"}
    np.testing.assert_array_equal(read["b"], b)
    index.write_text(json.dumps({"weight_map": {"c": "m-2.safetensors"}}))
    with pytest.raises(ValueError, match="must hold 'c', as"):
        Safetensors(index)
    index.write_text(json.dumps([1]))
    with pytest.raises(ValueError, match="must be an index with a `weight_map`"):
        Safetensors(index)


def header(tmp_path, text, blob=b"", length=None):
    path = tmp_path / "bad.safetensors"
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + blob)
    return path


@pytest.mark.parametrize(
    ("text", "length", "words"),
    [
        (b"{}", 99, "must be a whole safetensors file, got a header of 99 bytes"),
        (b"{}", 2**62, "must be a whole safetensors file"),
        (b"not json", None, "must be a safetensors file, got JSONDecodeError"),
        ([1, 2], None, "must be a safetensors file, got"),
        ({"a": {"dtype": "F32", "shape": [1]}}, None, "KeyError"),
        (
            {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}},
            None,
            "must hold 'a' whole",
        ),
    ],
)
def test_a_broken_file_is_told(tmp_path, text, length, words):
    with pytest.raises(ValueError, match="bad.safetensors must") as told:
        Safetensors(header(tmp_path, text, length=length))
    assert words in str(told.value)


def test_an_empty_file(tmp_path):
    (tmp_path / "x.safetensors").touch()
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        Safetensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("kind", "shape", "words"),
    [("I64", [1], "F64, F32, F16, BF16, got I64"), ("F32", [3], "must have 3 numbers")],
)
def test_a_tensor_that_cannot_be_read(tmp_path, kind, shape, words):
    entry = {"dtype": kind, "shape": shape, "data_offsets": [0, 8]}
    read = Safetensors(header(tmp_path, {"a": entry}, b"\0" * 8))
    with pytest.raises(ValueError, match=words):
        read["a"]


def test_names_of_files():
    assert is_safetensors("a/model.safetensors") and is_safetensors("model.safetensors.index.json")
    assert not is_safetensors("model.keras") and not is_safetensors("bert_base_en")
