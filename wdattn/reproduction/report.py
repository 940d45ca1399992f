"""The ledger in writing: a table for the terminal, Markdown, JSON, and a page of HTML."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from wdattn.plots import words
from wdattn.reproduction.page import html
from wdattn.reproduction.wording import (
    Row,
    control_name,
    effect_name,
    ordered,
    region_name,
    run_name,
    verdict_name,
)

__all__ = ["from_json", "html", "markdown", "table", "to_json"]

FIELDS = (
    *("claim", "paper", "title", "source", "backend", "scale", "seeds", "verdict", "parts"),
    *("set_aside", "control", "why"),
)
PART_FIELDS = ("effect", "interval", "low", "high", "verdict")
STYLES = {
    "reproduced": "bold green",
    "contradicted": "bold red",
    "inconclusive": "bold yellow",
    "not judged": "dim",
}


def table(rows: Sequence[Row]) -> Table:
    """The ledger for a terminal of 80 columns or more.

    What all rows share (scale, backend) and the seeds stand below the table; what tells the rows
    of one claim apart, in it.

    Args:
        rows: ledger rows.

    Returns:
        A rich `Table`, one row a ledger row; parts are lines of one cell.
    """
    rows = ordered(rows)
    result = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, caption_justify="left"
    )
    # A claim's name or a verdict broken over two lines is no longer found by the eye.
    result.add_column("Claim", no_wrap=True)
    result.add_column("Finding", ratio=1, min_width=10)
    names = words.run_names(rows)
    told = len(set(names)) > 1
    if told:
        result.add_column("On")
    result.add_column("Effect [95 %]", min_width=14)
    result.add_column("Verdict", no_wrap=True)
    result.add_column("Control", no_wrap=True)
    several = len({row["paper"] for row in rows}) > 1
    before = None
    for row, name in zip(rows, names, strict=True):
        claim = (row["paper"], row["claim"])
        said = claim == before
        before = claim
        result.add_row(
            Text("" if said else " ".join(claim) if several else row["claim"], "bold"),
            Text("" if said else row["title"]),
            *([Text(name)] if told else []),
            Text("\n".join(_measured(row))),
            Text(verdict_name(row["verdict"]), STYLES[row["verdict"]]),
            Text(
                control_name(row["control"]), "bold red" if row["control"] == "reproduced" else ""
            ),
        )
    result.caption = _shared(rows)
    return result


def markdown(rows: Sequence[Row]) -> str:
    """The ledger as a Markdown table, followed by the reason for each verdict.

    Args:
        rows: ledger rows.

    Returns:
        str that ends with a newline.
    """
    head = ("Claim", "Finding", "Run", "Effect [95 % interval]", "Counts", "Verdict", "Control")
    lines = [_line(head), _line(["---"] * len(head))]
    reasons = []
    for row in ordered(rows):
        parts = row["parts"]
        cells = [
            f"{row['paper']} {row['claim']}",
            row["title"],
            run_name(row),
            "\n".join(_labels(parts, [effect_name(part, logarithm=True) for part in parts])),
            "\n".join(region_name(part) for part in parts),
            verdict_name(row["verdict"]),
            control_name(row["control"]),
        ]
        lines.append(_line(cells))
        if row["why"]:
            reasons.append(
                f"- **{_escape(cells[0])}** ({_escape(cells[2])}): {_escape(row['why'])}"
            )
    return "\n".join([*lines, "", *reasons]).rstrip() + "\n"


def to_json(rows: Sequence[Row]) -> str:
    """The ledger as JSON: numbers that are not finite become null, NumPy's become plain.

    Args:
        rows: ledger rows.

    Returns:
        str that ends with a newline.
    """
    return json.dumps(_plain(rows), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> list[dict[str, Any]]:
    """The rows that `to_json` wrote.

    Args:
        text: JSON.

    Returns:
        List of ledger rows.

    Raises:
        ValueError: if `text` is not a list of ledger rows; says which field is missing or wrong.
    """
    rows = json.loads(text)
    if not isinstance(rows, list):
        raise ValueError(f"`text` must be a JSON list of ledger rows, got a {type(rows).__name__}")
    for number, row in enumerate(rows):
        _check(row, FIELDS, f"row {number} of `text`")
        for part in row["parts"]:
            _check(part, PART_FIELDS, f"a part of row {number} of `text`")
    return rows


def _measured(row: Row) -> list[str]:
    """The lines of a cell: effects and what counts, and how many seeds were set aside."""
    parts = row["parts"]
    lines = [f"{effect_name(part)}\ncounts {region_name(part)}" for part in parts]
    aside = (
        [f"{row['set_aside']} of {len(row['seeds'])} seeds set aside"] if row["set_aside"] else []
    )
    return [*_labels(parts, lines), *aside] or ["not measured"]


def _labels(parts: Sequence[Row], lines: Sequence[str]) -> list[str]:
    """Each part's line with the part's label before it, if there is more than one part."""
    labels = [part.get("label") if len(parts) > 1 else "" for part in parts]
    pairs = zip(labels, lines, strict=True)
    return [f"{label}: {line}" if label else line for label, line in pairs]


def _shared(rows: Sequence[Row]) -> str | None:
    """Where the rows come from, as far as their own cells do not say it."""
    scales, backends, seeds = (
        list(dict.fromkeys(values))
        for values in (
            (row["scale"] for row in rows),
            (row["backend"] for row in rows),
            (words.seeds(row["seeds"]) for row in rows),
        )
    )
    told = [f"{scales[0]} scale"] if len(scales) == 1 else []
    told += backends if len(backends) == 1 else []
    return ", ".join([*told, f"seeds {' or '.join(seeds)}"]) if rows else None


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escape(cell) for cell in cells) + " |"


def _escape(text: str) -> str:
    """Text that neither ends a Markdown cell nor opens a tag or an emphasis."""
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\|*_`\[\]])", r"\\\1", text).replace("\n", "<br>")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # a NumPy array or scalar
        return _plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check(record: Any, fields: Sequence[str], place: str) -> None:
    if not isinstance(record, dict):
        raise ValueError(f"{place} must be an object, got {record!r}")
    if missing := [field for field in fields if field not in record]:
        raise ValueError(f"{place} lacks {', '.join(missing)}")
    if record["verdict"] not in words.SIGNS:
        allowed = ", ".join(words.SIGNS)
        raise ValueError(f"{place}: `verdict` must be one of {allowed}, got {record['verdict']!r}")
