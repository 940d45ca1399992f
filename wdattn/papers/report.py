"""Stored results, judged anew and drawn: PNG files and one self-contained page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wdattn import plots
from wdattn.ledger import report
from wdattn.ledger.ledger import Ledger, Row, row
from wdattn.papers.lookup import KEYS, lookup
from wdattn.reproduction.design.paper import Figure, Paper
from wdattn.reproduction.design.references import NoneFinite, Unresolved, look_up, resolve
from wdattn.reproduction.judge.records import Records, load

AGAIN = 0.5
"""Size in the page of a figure that it shows on another backend already."""


def judged(folder) -> Ledger:
    """The ledger of a folder of results, every verdict computed anew from its records.

    Args:
        folder: what `--out` named.

    Raises:
        ValueError: if the folder holds no ledger.
    """
    return Ledger(
        [one for paper, records in _papers(folder) for one in _rows(folder, paper, records)]
    )


def write_report(folder) -> Path:
    """Draws the figures of a folder of results and writes its `report.html`.

    The page shows each figure once at full size and those of further backends smaller; the files
    are all of full size.

    Args:
        folder: what `--out` named.

    Returns:
        The path of the page; the figures are in `folder/<key>/figures/`.

    Raises:
        ValueError: if the folder holds no ledger.
    """
    folder, described, ledger, pictures = Path(folder), [], [], []
    for paper, records in _papers(folder):
        rows = Ledger(_rows(folder, paper, records)).rows
        place = folder / paper.key / "figures"
        place.mkdir(parents=True, exist_ok=True)
        shown = set()
        for name, figure, picture in _pictures(paper, records, rows):
            whole = plots.png(figure)
            (place / f"{name}.png").write_bytes(whole)
            again = picture["title"] in shown
            shown.add(picture["title"])
            png = plots.shrunk(whole, AGAIN) if again else whole
            pictures.append(picture | {"png": png, "width": round(100 * figure.get_figwidth())})
        described.append({"key": paper.key, "title": paper.title, "citation": paper.citation})
        ledger += rows
    page = folder / "report.html"
    page.write_text(report.html(described, ledger, pictures), "utf-8")
    return page


def _papers(folder) -> list[tuple[Paper, Records]]:
    """The papers with results in the folder, and their records."""
    keys = [key for key in KEYS if (Path(folder) / key / "ledger.json").exists()]
    if not keys:
        raise ValueError(f"`folder` must hold results, got {str(folder)!r}, which has no ledger; "
                         "`wdattn reproduce` makes one")  # fmt: skip
    return [(lookup(key), load(Path(folder) / key)) for key in keys]


def _rows(folder, paper, records) -> Iterator[Row]:
    for old in Ledger.load(Path(folder) / paper.key / "ledger.json"):
        yield row(
            paper,
            paper.claim(old["claim"]),
            records.on(old["backend"]).find,
            scale=old["scale"],
            seeds=old["seeds"],
            backend=old["backend"],
            versions=old["versions"],
        )


def _pictures(paper, records, rows) -> Iterator[tuple[str, Any, Row]]:
    """Name of the file, matplotlib Figure, and what the page says of it."""
    yield (
        "ledger",
        plots.ledger(rows),
        {
            "key": paper.key,
            "claim": None,
            "title": "The ledger",
            "caption": "Effect and 95 % interval over seeds of each claim; what is shaded counts.",
            "backend": ", ".join(dict.fromkeys(one["backend"] for one in rows)),
        },
    )
    for figure in paper.figures:
        shown = [one for one in rows if figure.claim in ("", one["claim"])]
        runs = [(one, *_drawn_on(figure, one)) for one in shown if figure.drawn_at(one["scale"])]
        for scale, seeds in dict.fromkeys((scale, seeds) for _, scale, seeds in runs):
            found = {
                one["backend"]: _found(figure, records.on(one["backend"]), scale, seeds)
                for one, *run in runs
                if tuple(run) == (scale, seeds)
            }
            found = {name: shown for name, shown in found.items() if shown}
            yield from _drawn(paper, figure, found, scale, seeds)


def _drawn_on(figure: Figure, one: Row) -> tuple[str, tuple[int, ...]]:
    """Scale and seeds of the figure beside that row; a study has seeds of its own."""
    own = tuple(one["seeds"]) if figure.claim else figure.experiment.at(one["scale"]).seeds
    return one["scale"], own


def _drawn(paper, figure: Figure, found, scale, seeds) -> Iterator[tuple[str, Any, Row]]:
    name = f"{figure.name}-{scale}-seeds{min(seeds)}to{max(seeds)}"
    if figure.across:
        sets = {"backends": found} if len(found) > 1 else {}
    else:
        sets = found
    for backend, shown in sets.items():
        on = ", ".join(found) if figure.across else backend
        note = plots.caption(scale, on, seeds)
        yield (
            f"{name}-{backend}",
            figure.draw(shown, note),
            {
                "key": paper.key,
                "claim": figure.claim or None,
                "also": figure.also,
                "title": figure.title,
                "caption": figure.caption,
                "backend": on,
            },
        )


def _found(figure: Figure, records: Records, scale, seeds):
    """Label to the records of that arm by seed, of the panels for which all are there."""
    found, lacking = {}, set()
    for label, arm in figure.shown(scale).items():
        found[label] = _records(figure, records, scale, arm, seeds)
        if None in found[label]:
            lacking.add(figure.panel(label))
    return {label: runs for label, runs in found.items() if figure.panel(label) not in lacking}


def _records(figure: Figure, records: Records, scale, arm, seeds):
    """The arm's record of each seed, None where it is missing."""
    at_scale = figure.experiment.at(scale)
    try:
        runs = [resolve(at_scale, arm, seed, records.find) for seed in seeds]
    except (NoneFinite, Unresolved):
        return [None]
    return [look_up(records.find, at_scale, run, figure.columns) for run in runs]
