import json
import struct
import tracemalloc
import zipfile

import pytest

from wdattn.weights import keras_config

CONFIG = {"class_name": "Sequential"}


def archive(path, parts, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_configuration(tmp_path, compression):
    parts = {"config.json": json.dumps(CONFIG), "model.weights.h5": bytes(1000)}
    assert keras_config(archive(tmp_path / "x.keras", parts, compression)) == CONFIG


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("config.json", "must have a config.json of at most 16777216 bytes, got 100000000"),
        ("model.weights.h5", "must inflate to at most 67108864 bytes, got 10000"),
    ],
)
def test_sizes_are_bounded_before_anything_is_inflated(tmp_path, name, words):
    parts = {"config.json": "{}"} | {name: bytes(10**8)}
    large = archive(tmp_path / "x.keras", parts, zipfile.ZIP_DEFLATED)
    assert large.stat().st_size < 10**6
    tracemalloc.start()
    with pytest.raises(ValueError) as told:
        keras_config(large)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert words in str(told.value) and most < 10**6


def test_many_small_parts_are_a_large_one(tmp_path):
    parts = {"config.json": "{}"} | {f"assets/{i}": bytes(10**6) for i in range(70)}
    with pytest.raises(ValueError, match="must inflate to at most 67108864 bytes, got 70000002"):
        keras_config(archive(tmp_path / "x.keras", parts, zipfile.ZIP_DEFLATED))


def test_a_size_that_is_a_lie(tmp_path):
    path = archive(tmp_path / "x.keras", {"config.json": bytes(10**8)}, zipfile.ZIP_DEFLATED)
    data = path.read_bytes().replace(struct.pack("<I", 10**8), struct.pack("<I", 10))
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(ValueError, match="got config.json larger than the 10 bytes"):
        keras_config(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10**6


def test_an_encrypted_part(tmp_path):
    path = archive(tmp_path / "x.keras", {"config.json": json.dumps(CONFIG)})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="must be a model that Keras 3 saved, got config.json enc"):
        keras_config(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_another_packing(tmp_path, compression):
    path = archive(tmp_path / "x.keras", {"config.json": json.dumps(CONFIG)}, compression)
    with pytest.raises(ValueError, match=f"packed by method {compression}"):
        keras_config(path)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (b"[1]", "got no object in config.json"),
        (b"{", "its config.json must be JSON"),
        (b"\xff", "its config.json must be JSON"),
        (b"[" * 5000, "brackets nested too deep"),
    ],
)
def test_a_configuration_that_is_none(tmp_path, config, words):
    with pytest.raises(ValueError, match="x.keras must be a model that Keras 3 saved") as told:
        keras_config(archive(tmp_path / "x.keras", {"config.json": config}))
    assert words in str(told.value)


def test_no_archive_and_no_configuration(tmp_path):
    (tmp_path / "x.keras").write_text("no")
    with pytest.raises(ValueError, match="got BadZipFile: File is not a zip file"):
        keras_config(tmp_path / "x.keras")
    with pytest.raises(ValueError, match="got KeyError.*config.json"):
        keras_config(archive(tmp_path / "y.keras", {"other": "{}"}))
