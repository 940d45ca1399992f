"""The ledger as Markdown, for a page or a notebook."""

import re
from collections.abc import Sequence

from wdattn.ledger.agreement import agreement
from wdattn.ledger.cells import Runs, by_claim, measured, regions, shared
from wdattn.ledger.row import Row, ordered
from wdattn.ledger.wording import beside_names, control_name, verdict_name
from wdattn.plots import words


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
    several = len({row.paper for row in rows}) > 1
    notes = []
    for (paper, claim), runs in by_claim(rows).items():
        own = [row for row, _ in runs]
        rows_by_name = {name: row for row, name in runs}
        named = f"{paper} {claim}" if several else claim
        finding = "\n".join([own[0].title, *regions(own)])
        cells = [_cell(rows_by_name[name]) if name in rows_by_name else "" for name in columns]
        lines.append(_line([named, finding, *cells]))
        notes += [f"- **{_escape(named)}**: {_escape(note)}" for note in _notes(runs)]
    below = [_escape(f"{text}.".replace("..", ".")) for text in (*shared(rows), *agreement(rows))]
    return "\n".join([*lines, "", *(f"{text}\n" for text in below), *notes]).rstrip() + "\n"


def _cell(row: Row) -> str:
    """A run's verdict, effects and control, a line each, which a narrow page must not break."""
    lines = [verdict_name(row.verdict), *measured(row, between=":\n")]
    told = "\n".join([*lines, f"control: {control_name(row.control)}"])
    return told.replace(" ", "\N{NO-BREAK SPACE}")


def _notes(runs: Runs) -> list[str]:
    """Remarks, effects that are not judged, and the reason where there is no effect to show."""
    notes = list(dict.fromkeys(row.remark for row, _ in runs if row.remark))
    for row, name in runs:
        if beside := beside_names(row):
            notes.append(f"beside it, not judged ({name}): {'; '.join(beside)}")
        silent = not row.parts or any(part.effect is None for part in row.parts)
        if row.why and silent:
            notes.append(f"{row.verdict} ({name}): {row.why}")
    return notes


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escape(cell) for cell in cells) + " |"


def _escape(text: str) -> str:
    """Text that neither ends a Markdown cell nor opens a tag or an emphasis."""
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\|*_`\[\]])", r"\\\1", text).replace("\n", "<br>")
