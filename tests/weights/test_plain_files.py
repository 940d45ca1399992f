import pytest

from wdattn.weights import plain_files, read_json


def test_json_is_read(tmp_path):
    (tmp_path / "x.json").write_text('{"a": [1, 2.5, null, "ü"]}', "utf-8")
    assert read_json(tmp_path / "x.json") == {"a": [1, 2.5, None, "ü"]}


def test_json_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_files, "LONGEST_JSON", 10)
    (tmp_path / "x.json").write_text("[1, 2, 3]".ljust(10))
    assert read_json(tmp_path / "x.json") == [1, 2, 3]
    (tmp_path / "x.json").write_text("[1, 2, 3]".ljust(11))
    with pytest.raises(ValueError, match="x.json must be JSON of at most 10 bytes, got more"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"\xff", "UnicodeDecodeError"),
        (b"[1,", "JSONDecodeError"),
        (b"[Infinity]", "Infinity, which is no number of JSON"),
        (b"1" * 5000, "ValueError: Exceeds the limit"),
        (b'{"a":' * 5000, "brackets nested too deep"),
    ],
)
def test_what_is_no_json(tmp_path, text, words):
    (tmp_path / "x.json").write_bytes(text)
    with pytest.raises(ValueError, match="x.json must be JSON, got") as told:
        read_json(tmp_path / "x.json")
    assert words in str(told.value)
