"""The ledger for a terminal: each claim a heading, each of its runs a line below it."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from wdattn.ledger.agreement import agreement
from wdattn.ledger.cells import by_claim, regions, shared
from wdattn.ledger.row import Row, ordered
from wdattn.ledger.wording import aside_name, control_name, criteria, verdict_name
from wdattn.plots.words import effect_lines

STYLES = {
    "reproduced": "bold green",
    "contradicted": "bold red",
    "inconclusive": "bold yellow",
    "not judged": "dim",
}
INDENT, GAP, LABEL = 2, 2, 24
Line = list[Text]
"""The cells of a line: which run, its effects, verdict and control."""


@dataclass(frozen=True)
class Arrangement:
    """Where the parts of a line stand.

    Args:
        interval_below: its effect, in place of behind it.
        control_below: the verdict, in place of behind it.
    """

    interval_below: bool = False
    control_below: bool = False

    def head(self, rows: Sequence[Row]) -> Line:
        """What the columns are."""
        sample = "[95 %]" if "interval" in criteria(rows) else ""
        names = "", self._effect(["Effect", sample]), "Verdict", "Control"
        return self._line(*(Text(name.rstrip(), "dim") for name in names))

    def line(self, row: Row, name: str) -> Line:
        """A run: its name, its effects, and what follows from them."""
        alarm = "bold red" if row.control == "reproduced" else ""
        return self._line(
            Text(name.replace(", ", ",\n")),
            Text("\n".join(self._effects(row))),
            Text(verdict_name(row.verdict), STYLES[row.verdict]),
            Text(control_name(row.control), alarm),
        )

    def _line(self, name: Text, effects: Text, verdict: Text, control: Text) -> Line:
        if self.control_below:
            return [name, effects, Text("\n").join([verdict, control])]
        return [name, effects, verdict, control]

    def _effects(self, row: Row) -> Iterable[str]:
        """A line an effect or two; labels, which may be long, have lines of their own."""
        for part in row.parts:
            if len(row.parts) > 1 and part.label:
                yield from textwrap.wrap(f"{part.label}:", LABEL)
            yield self._effect(effect_lines(part))
        if row.set_aside or not row.parts:
            yield aside_name(row) if row.set_aside else "not measured"

    def _effect(self, lines: Sequence[str]) -> str:
        return ("\n" if self.interval_below else " ").join(lines)


ARRANGEMENTS = (
    Arrangement(),
    Arrangement(interval_below=True),
    Arrangement(interval_below=True, control_below=True),
)


@dataclass(frozen=True)
class LedgerTable:
    """The ledger, readable from 60 columns on; rich prints it.

    What all rows share (scale, backend) and the seeds stand below the table; what tells the rows
    of one claim apart stands before each line. Where a line is too long, the interval goes below
    its effect, then the control below its verdict; no name or number is broken.

    Args:
        rows: ledger rows.
    """

    rows: Sequence[Row]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        claims = by_claim(ordered(self.rows))
        several = len({paper for paper, _ in claims}) > 1
        for arrangement in ARRANGEMENTS:
            head, lines = arrangement.head(self.rows), _lines(claims, arrangement)
            widths = _widths([head, *(line for own in lines.values() for line in own)])
            if INDENT + sum(widths) <= options.max_width:
                break
        yield _grid([head], widths)
        yield Rule(style="dim", characters="-" if options.ascii_only else "─")
        for (paper, claim), runs in claims.items():
            yield _heading(f"{paper} {claim}" if several else claim, runs[0][0].title)
            for region in regions([row for row, _ in runs]):
                yield Padding(Text(region, "dim"), (0, 0, 0, INDENT))
            yield _grid(lines[paper, claim], widths)
            yield Text()
        for line in (*shared(self.rows), *agreement(self.rows)):
            yield Text(line)


def _heading(name: str, title: str) -> Table:
    """A claim's name, and its sentence beside it."""
    table = Table.grid(padding=(0, GAP, 0, 0))
    table.add_column(no_wrap=True)
    table.add_row(Text(name, "bold"), Text(title))
    return table


def _lines(claims, arrangement: Arrangement) -> dict[tuple[str, str], list[Line]]:
    """The lines of each claim; a run has a name where a claim has several."""
    told = len({name for runs in claims.values() for _, name in runs}) > 1
    return {
        claim: [arrangement.line(row, name if told else "") for row, name in runs]
        for claim, runs in claims.items()
    }


def _widths(lines: Sequence[Line]) -> list[int]:
    """How wide each column is, with the gap before the next."""
    widest = [
        max(cell_len(text) for cell in column for text in cell.plain.split("\n"))
        for column in zip(*lines, strict=True)
    ]
    return [width + GAP if width else 0 for width in widest[:-1]] + widest[-1:]


def _grid(lines: Sequence[Line], widths: Sequence[int]) -> Padding:
    """Lines whose columns have these widths."""
    table = Table.grid()
    shown = [number for number, width in enumerate(widths) if width]
    for number in shown:
        table.add_column(no_wrap=True, width=widths[number], overflow="ignore")
    for line in lines:
        table.add_row(*(line[number] for number in shown))
    return Padding(table, (0, 0, 0, INDENT))
