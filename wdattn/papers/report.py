"""Stored results, judged anew and drawn: PNG files and one self-contained page."""

from collections.abc import Iterator
from pathlib import Path

from wdattn import plots
from wdattn.papers.lookup import KEYS, lookup
from wdattn.reproduction import report
from wdattn.reproduction.ledger import Ledger, Row, row
from wdattn.reproduction.paper import Figure, Paper
from wdattn.reproduction.records import Records, load
from wdattn.reproduction.references import NoneFinite, Unresolved, look_up, resolve


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
        for name, picture in _pictures(paper, records, rows):
            (place / f"{name}.png").write_bytes(picture["png"])
            pictures.append(picture)
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


def _pictures(paper, records, rows) -> Iterator[tuple[str, Row]]:
    yield (
        "ledger",
        {
            "key": paper.key,
            "claim": None,
            "title": "The ledger",
            "caption": "Effect and 95 % interval over seeds of each claim; what is shaded counts.",
            "png": plots.png(plots.ledger(rows)),
            "backend": ", ".join(dict.fromkeys(one["backend"] for one in rows)),
        },
    )
    for figure in paper.figures():
        own = [one for one in rows if one["claim"] == figure.claim]
        for scale, seeds in dict.fromkeys((one["scale"], tuple(one["seeds"])) for one in own):
            found = {
                one["backend"]: _found(figure, records.on(one["backend"]), scale, seeds)
                for one in own
                if (one["scale"], tuple(one["seeds"])) == (scale, seeds)
            }
            found = {name: shown for name, shown in found.items() if shown}
            yield from _drawn(paper, figure, found, scale, seeds)


def _drawn(paper, figure: Figure, found, scale, seeds) -> Iterator[tuple[str, Row]]:
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
            {
                "key": paper.key,
                "claim": figure.claim,
                "title": figure.title,
                "caption": figure.caption,
                "png": plots.png(figure.draw(shown, note)),
                "backend": on,
            },
        )


def _found(figure: Figure, records: Records, scale, seeds):
    """Label to the records of that arm by seed; None if one is missing."""
    found = {}
    for label, arm in figure.arms.items():
        try:
            resolved, _ = resolve(figure.experiment, scale, arm, records.find)
        except (NoneFinite, Unresolved):
            return None
        runs = [figure.experiment.run(scale, resolved, seed) for seed in seeds]
        shown = [
            look_up(records.find, figure.experiment, scale, run, figure.columns) for run in runs
        ]
        if any(one is None for one in shown):
            return None
        found[label] = shown
    return found
