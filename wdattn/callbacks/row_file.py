"""Rows appended to a CSV or JSONL file, each written whole."""

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class RowFile:
    """A table that grows by rows, of the kind that the file's name ends in.

    A row is one write, so that a run that is killed loses no row that was measured; an unfinished
    last line, from a machine that went down, is cut off before the next row. The columns of a CSV
    file are those of its first row. JSON knows no NaN and no infinity: null stands for them.

    Args:
        path: a path that ends in `.csv` or `.jsonl`. Rows that are there stay.

    Raises:
        ValueError: if the path ends otherwise.
    """

    def __init__(self, path: str | Path):
        if not isinstance(path, str | Path) or Path(path).suffix not in (".csv", ".jsonl"):
            raise ValueError(f"`file` must be a path that ends in .csv or .jsonl, got {path!r}")
        self.path = Path(path)
        self._columns: list[str] | None = None

    def append(self, row: Mapping[str, Any]) -> None:
        """Writes a row.

        Args:
            row: column to number or string.

        Raises:
            ValueError: if the columns of a CSV file are other ones.
        """
        if self._columns is None:
            self._columns = self._open()
        line = self._csv(row) if self.path.suffix == ".csv" else _json(row)
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(line)

    def _open(self) -> list[str]:
        """Cuts off an unfinished line; the columns of a CSV file that is there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            file.seek(0)
            text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            if len(whole) < len(text):
                file.truncate(len(whole))
        if self.path.suffix != ".csv":
            return []
        return next(csv.reader(io.StringIO(whole.decode("utf-8"), newline="")), [])

    def _csv(self, row: Mapping[str, Any]) -> str:
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        if not self._columns:
            self._columns = list(row)
            writer.writerow(row)
        if set(row) != set(self._columns):
            more, less = sorted(set(row) - {*self._columns}), sorted({*self._columns} - set(row))
            raise ValueError(
                f"the columns of {str(self.path)!r} are those of its first row: this row has "
                f"{more} more and lacks {less}; a .jsonl file takes any columns"
            )
        writer.writerow(row[column] for column in self._columns)
        return text.getvalue()


def _json(row: Mapping[str, Any]) -> str:
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
    return json.dumps(finite, ensure_ascii=False, allow_nan=False) + "\n"
