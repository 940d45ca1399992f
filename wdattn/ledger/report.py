"""The ledger in writing: a table for the terminal, Markdown, JSON, and a page of HTML."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from wdattn.ledger.agreement import agreement
from wdattn.ledger.page import html
from wdattn.ledger.wording import (
    Row,
    control_name,
    effect_name,
    ordered,
    region_name,
    verdict_name,
)
from wdattn.plots import words

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
        A rich `Table`, one row a claim with a line for each run, or for each part of it.
    """
    rows = ordered(rows)
    result = Table(
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
        caption_justify="left",
        show_lines=True,
    )
    # A claim's name, an effect or a verdict broken over two lines is no longer found by the eye.
    result.add_column("Claim", no_wrap=True)
    result.add_column("Finding", ratio=1, min_width=10)
    told = len(set(words.run_names(rows))) > 1
    if told:
        result.add_column("On", no_wrap=True)
    result.add_column("Effect [95 %]", no_wrap=True, overflow="fold")
    result.add_column("Verdict", no_wrap=True)
    result.add_column("Control", no_wrap=True)
    several = len({row["paper"] for row in rows}) > 1
    for runs in _by_claim(rows).values():
        first = runs[0][0]
        effects = [("\n".join(_measured(row, between=":\n")), "") for row, _ in runs]
        places = [(name.replace(", ", ",\n"), "") for _, name in runs]
        pairs = zip(effects, places, strict=True)
        heights = [1 + max(text.count("\n") for text, _ in pair) for pair in pairs]
        controls = [
            (control_name(row["control"]), "bold red" if row["control"] == "reproduced" else "")
            for row, _ in runs
        ]
        verdicts = [(verdict_name(row["verdict"]), STYLES[row["verdict"]]) for row, _ in runs]
        result.add_row(
            Text(f"{first['paper']} {first['claim']}" if several else first["claim"], "bold"),
            Text("\n".join([first["title"], *_regions(runs)])),
            *([_stack(places, heights)] if told else []),
            _stack(effects, heights),
            _stack(verdicts, heights),
            _stack(controls, heights),
        )
    result.caption = "\n".join([*_shared(rows), *agreement(rows)]) or None
    return result


def markdown(rows: Sequence[Row]) -> str:
    """The ledger as a Markdown table, a row a claim and a column a run, and what to know of it.

    Args:
        rows: ledger rows.

    Returns:
        str that ends with a newline.
    """
    rows = ordered(rows)
    columns = list(dict.fromkeys(words.run_names(rows)))
    head = ("Claim", "Finding", *columns)
    lines = [_line(head), _line(["---"] * len(head))]
    several = len({row["paper"] for row in rows}) > 1
    notes = []
    for (paper, name), runs in _by_claim(rows).items():
        first, found = runs[0][0], {run: row for row, run in runs}
        claim = f"{paper} {name}" if several else name
        finding = "\n".join([first["title"], *_regions(runs)])
        cells = [_cell(found[run]) if run in found else "" for run in columns]
        lines.append(_line([claim, finding, *cells]))
        notes += [f"- **{_escape(claim)}**: {_escape(note)}" for note in _notes(runs)]
    below = [_escape(f"{text}.".replace("..", ".")) for text in (*_shared(rows), *agreement(rows))]
    return "\n".join([*lines, "", *(f"{text}\n" for text in below), *notes]).rstrip() + "\n"


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


def _by_claim(rows: Sequence[Row]) -> dict[tuple[str, str], list[tuple[Row, str]]]:
    """Paper and claim to its rows, each with what tells it apart from the others."""
    claims: dict[tuple[str, str], list[tuple[Row, str]]] = {}
    for row, name in zip(rows, words.run_names(rows), strict=True):
        claims.setdefault((row["paper"], row["claim"]), []).append((row, name))
    return claims


def _stack(texts: Sequence[tuple[str, str]], heights: Sequence[int]) -> Text:
    """Styled texts below each other, each as many lines high as told."""
    stacked = Text()
    for (text, style), height in zip(texts, heights, strict=True):
        stacked.append(text, style)
        stacked.append("\n" * (height - text.count("\n")))
    stacked.rstrip()
    return stacked


def _regions(runs: Sequence[tuple[Row, str]]) -> list[str]:
    """What counts, a line a part where the parts differ."""
    parts = max((row["parts"] for row, _ in runs), key=len)  # one without data has no parts
    regions = [f"counts {region_name(part)}" for part in parts]
    return regions[:1] if len(set(regions)) == 1 else _labels(parts, regions)


def _cell(row: Row) -> str:
    """A run's verdict, effects and control, a line each, which a narrow page must not break."""
    lines = [verdict_name(row["verdict"]), *_measured(row, between=":\n")]
    told = "\n".join([*lines, f"control: {control_name(row['control'])}"])
    return told.replace(" ", "\N{NO-BREAK SPACE}")


def _notes(runs: Sequence[tuple[Row, str]]) -> list[str]:
    """Remarks, effects that are not judged, and the reason where there is no effect to show."""
    notes = list(dict.fromkeys(row["remark"] for row, _ in runs if row.get("remark")))
    for row, name in runs:
        if row.get("beside"):
            notes.append(f"beside it, not judged ({name}): {'; '.join(row['beside'])}")
        silent = not row["parts"] or any(part["effect"] is None for part in row["parts"])
        if row["why"] and silent:
            notes.append(f"{row['verdict']} ({name}): {row['why']}")
    return notes


def _measured(row: Row, between: str = ": ") -> list[str]:
    """A line for each effect, its label before it, and how many seeds were set aside."""
    parts = row["parts"]
    aside = (
        [f"{row['set_aside']} of {len(row['seeds'])} seeds set aside"] if row["set_aside"] else []
    )
    return [*_labels(parts, [effect_name(part) for part in parts], between), *aside] or [
        "not measured"
    ]


def _labels(parts: Sequence[Row], lines: Sequence[str], between: str = ": ") -> list[str]:
    """Each part's line with the part's label before it, if there is more than one part."""
    labels = [part.get("label") if len(parts) > 1 else "" for part in parts]
    pairs = zip(labels, lines, strict=True)
    return [f"{label}{between}{line}" if label else line for label, line in pairs]


def _shared(rows: Sequence[Row]) -> list[str]:
    """Where the rows come from, as far as their own cells do not say it, in a line or none."""
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
    return [", ".join([*told, f"seeds {' or '.join(seeds)}"])] if rows else []


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
