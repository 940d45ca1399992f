import csv
import json

import pytest

from wdattn.callbacks.row_file import RowFile

ROWS = [{"step": 0, "a/b": 1.5, "name": 'one, "two"'}, {"step": 10, "a/b": 1e-300, "name": ""}]


def test_csv(tmp_path):
    file = RowFile(tmp_path / "new folder" / "log.csv")
    for row in ROWS:
        file.append(row)
    with (tmp_path / "new folder" / "log.csv").open(newline="") as text:
        found = list(csv.DictReader(text))
    assert found == [{name: str(value) for name, value in row.items()} for row in ROWS]


def test_jsonl(tmp_path):
    path = tmp_path / "log.jsonl"
    for row in ROWS:
        RowFile(path).append(row)  # a new run goes on
    RowFile(str(path)).append({"other": True, "lost": float("nan"), "far": float("-inf")})
    lines = path.read_text("utf-8").splitlines()
    expected = [*ROWS, {"other": True, "lost": None, "far": None}]
    assert [json.loads(line) for line in lines] == expected


def test_csv_goes_on_with_the_columns_that_are_there(tmp_path):
    path = tmp_path / "log.csv"
    RowFile(path).append({"step": 0, "a": 1})
    RowFile(path).append({"a": 2, "step": 1})  # in another order
    assert path.read_text("utf-8") == "step,a\n0,1\n1,2\n"


def test_other_columns_are_refused_and_nothing_is_written(tmp_path):
    path = tmp_path / "log.csv"
    file = RowFile(path)
    file.append({"step": 0, "a": 1})
    for again in (file, RowFile(path)):
        with pytest.raises(ValueError, match=r"has \['b'\] more and lacks \['a'\]; a .jsonl file"):
            again.append({"step": 1, "b": 2})
    assert path.read_text("utf-8") == "step,a\n0,1\n"


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_an_unfinished_line_is_cut_off(tmp_path, suffix):
    path = tmp_path / f"log{suffix}"
    RowFile(path).append({"step": 0, "a": 1})
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines()[-1][:-1])
    RowFile(path).append({"step": 1, "a": 2})
    lines = path.read_text("utf-8").splitlines()
    assert path.read_bytes().startswith(whole) and len(lines) == len(whole.splitlines()) + 1
    assert lines[-1] == {".csv": "1,2", ".jsonl": '{"step": 1, "a": 2}'}[suffix]


def test_a_row_is_there_as_soon_as_it_is_appended(tmp_path):
    file = RowFile(tmp_path / "log.csv")
    file.append({"a": 1})
    assert (tmp_path / "log.csv").read_text() == "a\n1\n"


def test_nothing_is_written_before_the_first_row(tmp_path):
    RowFile(tmp_path / "log.csv")
    assert list(tmp_path.iterdir()) == []


def test_bad_suffix_is_named():
    with pytest.raises(ValueError, match="ends in .csv or .jsonl, got 'log.txt'"):
        RowFile("log.txt")
