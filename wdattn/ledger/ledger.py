"""The ledger: claims, what was measured, and verdicts."""

import io
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from wdattn.ledger import markdown, stored, terminal
from wdattn.ledger.row import Row, natural
from wdattn.reproduction.run.store import write_whole


class Ledger(Sequence):
    """Rows in the order of paper, claim, backend, scale and seeds; one for each of these.

    Prints as a table, in a terminal and in a notebook.

    Args:
        rows: later ones replace earlier ones of the same claim, backend, scale and seeds.
    """

    def __init__(self, rows: Iterable[Row] = ()):
        unique = {(row.paper, row.claim, *row.run): row for row in rows}
        self.rows: list[Row] = sorted(
            unique.values(), key=lambda row: (row.paper, natural(row.claim), *row.run)
        )

    @classmethod
    def load(cls, path, report: Callable[[str], None] | None = None) -> "Ledger":
        """The ledger in that file; empty if there is none.

        Args:
            path: of a file that `save` wrote.
            report: called with one line for each row that is malformed, which is left out; by
                default such a row is an error like any other.

        Raises:
            ValueError: if the file is not a ledger.
        """
        path = Path(path)
        if not path.exists():
            return cls()
        rows, wrong = stored.read(path)
        for line in wrong:
            if report is None:
                raise ValueError(f"{path} is not a ledger: {line}")
            report(f"{path}: {line}")
        return cls(rows)

    def save(self, path) -> None:
        """Writes the rows as JSON, whole or not at all."""
        write_whole(Path(path), stored.to_json(self.rows).encode())

    def merged(self, other: Iterable[Row]) -> "Ledger":
        """These rows and the others', which replace those of the same claim and run."""
        return Ledger([*self.rows, *other])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __eq__(self, other) -> bool:
        return isinstance(other, Ledger) and self.rows == other.rows

    __hash__ = None  # type: ignore[assignment]

    def __rich__(self):
        return terminal.LedgerTable(self.rows)

    def __repr__(self) -> str:
        out = io.StringIO()
        Console(file=out, width=shutil.get_terminal_size().columns).print(self)
        return "\n".join(line.rstrip() for line in out.getvalue().rstrip().split("\n"))

    def _repr_markdown_(self) -> str:
        return markdown.markdown(self.rows)
