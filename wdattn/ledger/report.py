"""Stored results, judged anew and drawn: PNG files and one self-contained page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from wdattn.ledger.accepted import Accepted
from wdattn.ledger.drift import drift
from wdattn.ledger.gallery import Gallery
from wdattn.ledger.judging import judged_row
from wdattn.ledger.ledger import Ledger
from wdattn.ledger.page import html
from wdattn.ledger.page_figures import PageFigure
from wdattn.ledger.pictures import Picture, pictures
from wdattn.ledger.reproduce import LEDGER
from wdattn.ledger.row import Row
from wdattn.reproduction.design.paper import Paper
from wdattn.reproduction.run.store import Store, write_whole

Note = Callable[[str], None]
AGAIN = 0.5
"""Size in the page of a figure that it shows on another backend already."""


@dataclass(frozen=True)
class Results:
    """What a folder holds of one paper.

    Args:
        paper: whose results they are.
        folder: what `--out` named.
        note: called with one line for each thing that is left out.
    """

    paper: Paper
    folder: Path
    note: Note

    @cached_property
    def records(self) -> dict[str, Accepted]:
        """Backend to its records, those of every build."""
        records = Store(self.folder / self.paper.key, self.note).records()
        backends = {record.manifest["backend"] for record in records}
        return {backend: Accepted(records, backend) for backend in backends}

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of the ledger, judged anew from the records of the builds that they name."""
        ledger = Ledger.load(self.folder / self.paper.key / LEDGER, self.note)
        return [self._judged(row) for row in ledger if self._is_known(row)]

    def _judged(self, row: Row) -> Row:
        records = self.records.get(row.backend) or Accepted((), row.backend)
        return judged_row(
            self.paper,
            self.paper.claim(row.claim),
            records.of(row.builds),
            scale=row.scale,
            seeds=row.seeds,
            backend=row.backend,
        )

    def _is_known(self, row: Row) -> bool:
        """Whether the paper has such a claim, at such a scale; tells if not."""
        try:
            if row.paper != self.paper.key:
                raise ValueError(f"`paper` must be {self.paper.key}, got {row.paper!r}")
            self.paper.claim(row.claim).experiment.at(row.scale)
        except ValueError as error:
            self.note(f"a row of {self.folder / self.paper.key / LEDGER} is left out: {error}")
            return False
        return True


def judged(papers: Sequence[Paper], folder, note: Note) -> Ledger:
    """The ledger of a folder of results, every verdict computed anew from its records.

    Args:
        papers: those with a ledger in the folder.
        folder: what `--out` named.
        note: called with one line for each row and record that is left out, and for each library
            of which the records were made with another version than the installed one.

    Raises:
        ValueError: if a ledger is no ledger, or no row is left.
    """
    return Ledger(row for results in _results(papers, folder, note) for row in results.rows)


def write_report(papers: Sequence[Paper], folder, note: Note) -> Path:
    """Draws the figures of a folder of results and writes its `report.html`.

    The page shows each figure once at full size and those of further backends smaller; the files
    are all of full size. A picture is drawn anew only if its records or the code that draws it
    changed. Every file is written whole or not at all.

    Args:
        papers: those with a ledger in the folder.
        folder: what `--out` named.
        note: as for `judged`.

    Returns:
        The path of the page; the figures are in `folder/<key>/figures/`.

    Raises:
        ValueError: as `judged`.
    """
    folder, rows, figures = Path(folder), [], []
    for results in _results(papers, folder, note):
        rows += results.rows
        figures += _figures(results)
    page = folder / "report.html"
    write_whole(page, html(papers, Ledger(rows), figures).encode())
    return page


def _results(papers: Sequence[Paper], folder, note: Note) -> list[Results]:
    every = [Results(paper, Path(folder), note) for paper in papers]
    rows = [row for results in every for row in results.rows]
    if not rows:
        raise ValueError(f"`folder` must hold results, got {str(folder)!r}, which has no ledger "
                         "with a row; `wdattn reproduce` makes one")  # fmt: skip
    for line in drift(rows):
        note(line)
    return every


def _figures(results: Results) -> list[PageFigure]:
    """The pictures of a paper as the page shows them; their files are drawn where it is needed."""
    shown: set[str] = set()
    figures = []
    with Gallery(results.folder / results.paper.key / "figures") as gallery:
        for picture in pictures(results.paper, results.records, results.rows):
            png, width = gallery.drawn(picture, AGAIN if picture.title in shown else 1.0)
            shown.add(picture.title)
            figures.append(_figure(results.paper, picture, png, width))
    return figures


def _figure(paper: Paper, picture: Picture, png: bytes, width: int) -> PageFigure:
    return PageFigure(
        paper.key,
        picture.claim,
        picture.title,
        picture.caption,
        picture.backend,
        png,
        width,
        picture.also,
    )
