import json
import os
import struct

import numpy as np
import pytest

from wdattn.weights import Safetensors, is_safetensors


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


@pytest.mark.parametrize(
    ("kind", "bits"), [("F32", "0100807f"), ("BF16", "817f"), ("F64", "010000000000f07f")]
)
def test_a_signalling_nan_is_a_nan(tmp_path, kind, bits):  # warnings are errors here
    data = bytes.fromhex(bits)
    text = {"a": {"dtype": kind, "shape": [1], "data_offsets": [0, len(data)]}}
    assert np.isnan(Safetensors(header(tmp_path, text, data))["a"]).all()


def test_an_unknown_name(tmp_path, safetensors):
    with pytest.raises(KeyError):
        Safetensors(safetensors(tmp_path / "x.safetensors", {"a": np.ones(2)}))["b"]


def test_several_files_by_their_index(rng, tmp_path, safetensors):
    a, b, c = rng.normal(size=(3, 4))
    safetensors(tmp_path / "m-1.safetensors", {"a": a, "unlisted": c}, "F64")
    safetensors(tmp_path / "m-2.safetensors", {"b": b}, "F64")
    index = tmp_path / "model.safetensors.index.json"
    weight_map = {"a": "m-1.safetensors", "b": "m-2.safetensors"}
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    read = Safetensors(index)
    assert set(read) == {"a", "b"}
    np.testing.assert_array_equal(read["b"], b)
    index.write_text(json.dumps({"weight_map": {"c": "m-2.safetensors"}}))
    with pytest.raises(ValueError, match="must hold 'c', as"):
        Safetensors(index)
    for broken in ([1], {}, {"weight_map": None}, {"weight_map": ["m-1.safetensors"]}):
        index.write_text(json.dumps(broken))
        with pytest.raises(ValueError, match="must be an index with a `weight_map`"):
            Safetensors(index)


def header(tmp_path, text, blob=b"", length=None):
    path = tmp_path / "bad.safetensors"
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + blob)
    return path


def entry(**changed):
    """The entry of a tensor of one float32, changed."""
    return {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | changed}


@pytest.mark.parametrize(
    ("text", "length", "words"),
    [
        (b"{}", 99, "must be a whole safetensors file, got a header of 99 bytes"),
        (b"{}", 2**62, "must be a whole safetensors file"),
        (b"not json", None, "must be a safetensors file: its header must be JSON, got"),
        (b'{"a": NaN}', None, "NaN, which is no number of JSON"),
        (b'{"a": 1, "a": 1}', None, "a name that an object has twice"),
        (b"[" * 5000, None, "brackets nested too deep"),
        ([1, 2], None, "must be a safetensors file, got [1, 2] as header"),
        ({"a": None}, None, "whose header tells `dtype`, `shape` and `data_offsets` of 'a'"),
        ({"a": {"dtype": "F32", "shape": [1]}}, None, "of 'a', got {'dtype': 'F32', 'shape'"),
        (entry(dtype=["F32"]), None, "got {'data_offsets': [0, 4], 'dtype': ['F32']"),
        (entry(shape=None), None, "'shape': None"),
        (entry(shape=[1.0]), None, "'shape': [1.0]"),
        (entry(shape=[True]), None, "'shape': [True]"),
        (entry(shape=[-1, -1]), None, "'shape': [-1, -1]"),
        (entry(shape=[1] * 33), None, "whose header tells"),
        (entry(shape=[0, 2**60], data_offsets=[0, 0]), None, "whose header tells"),
        (entry(data_offsets=[0.0, 4.0]), None, "'data_offsets': [0.0, 4.0]"),
        (entry(data_offsets=[0, 4, 8]), None, "'data_offsets': [0, 4, 8]"),
        (entry(data_offsets=[4, 0]), None, "'a' must have 1 numbers of F32, got -4 bytes"),
        (entry(shape=[3]), None, "'a' must have 3 numbers of F32, got 4 bytes"),
        (entry(dtype="F999", data_offsets=[4, 0]), None, "must hold 'a' whole"),
        (entry(), None, "must hold 'a' whole"),
        ({"n" * 1001: entry()["a"]}, None, "names of at most 1000 characters, got one of 1001"),
    ],
)
def test_a_broken_file_is_told(tmp_path, text, length, words):
    with pytest.raises(ValueError, match="bad.safetensors") as told:
        Safetensors(header(tmp_path, text, length=length))
    assert words in str(told.value) and len(str(told.value)) < 500 and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("second", "size", "words"),
    [
        ([0, 4], 4, None),
        ([2, 6], 6, None),
        ([6, 10], 10, None),
        ([4, 8], 9, "must end with its last tensor, got 1 bytes more"),
    ],
)
def test_tensors_lie_side_by_side(tmp_path, second, size, words):
    text = {**entry(), "b": entry(data_offsets=second)["a"]}
    if words is None:
        first = 8 + len(json.dumps(text))
        words = f"got 'b' from byte {first + second[0]} on where the one before ends at {first + 4}"
    with pytest.raises(ValueError) as told:
        Safetensors(header(tmp_path, text, b"\0" * size))
    assert words in str(told.value)


def test_an_empty_file(tmp_path):
    (tmp_path / "x.safetensors").touch()
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        Safetensors(tmp_path / "x.safetensors")


def test_a_type_that_is_not_read_stops_only_its_own_tensor(tmp_path):
    text = {
        "codes": {"dtype": "I8", "shape": [4], "data_offsets": [0, 4]},
        "of the future": {"dtype": "F3", "shape": [7], "data_offsets": [4, 6]},
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [6, 10]},
    }
    read = Safetensors(header(tmp_path, text, b"\0" * 6 + np.float32(3).tobytes()))
    assert read["a"].tolist() == [3.0] and read.shape("codes") == (4,)
    for name, kind in (("codes", "I8"), ("of the future", "F3")):
        with pytest.raises(ValueError, match=f"one of F64, F32, F16, BF16, got '{kind}'"):
            read[name]


@pytest.mark.parametrize(
    "file",
    ["../outside.safetensors", "/x/absolute.safetensors", "C:\\x.safetensors",
     "..\\x.safetensors", "sub/x.safetensors", "", ".", "..", "x.bin", "\0.safetensors",
     "\x1b.safetensors", 3, None, ["x"]],
)  # fmt: skip
def test_an_index_leads_nowhere_else(tmp_path, safetensors, file):
    folder = tmp_path / "model"
    folder.mkdir()
    for path in (tmp_path / "outside.safetensors", folder / "m.safetensors"):
        safetensors(path, {"a": np.ones(1)})
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "m.safetensors", "b": file}}))
    with pytest.raises(ValueError, match="must name .safetensors files of its own folder") as told:
        Safetensors(index)
    assert str(told.value).isprintable()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="must be a plain file, got a folder, a pipe or a device"):
        Safetensors(tmp_path / "x.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "x.safetensors"}}))
    with pytest.raises(ValueError, match="must be a plain file"):
        Safetensors(index)
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(ValueError, match="must be a plain file"):
        Safetensors(tmp_path / "folder.safetensors")


def test_a_link_is_followed(tmp_path, safetensors):  # as in the cache of Hugging Face's hub
    blob = safetensors(tmp_path / "blob", {"a": np.ones(1)})
    (tmp_path / "x.safetensors").symlink_to(blob)
    assert Safetensors(tmp_path / "x.safetensors")["a"].tolist() == [1.0]


def test_a_header_is_bounded_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 2**24 + 1))
    os.truncate(path, 2**25)  # a sparse file
    with pytest.raises(ValueError, match="got a header of 16777217 bytes"):
        Safetensors(path)


def test_names_of_files():
    assert is_safetensors("a/model.safetensors") and is_safetensors("model.safetensors.index.json")
    assert not is_safetensors("model.keras") and not is_safetensors("bert_base_en")
