"""Which pictures a paper's results give, and from what each is drawn."""

import functools
import hashlib
import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

from wdattn import plots
from wdattn.ledger import stored
from wdattn.ledger.accepted import Accepted
from wdattn.ledger.row import Row
from wdattn.reproduction.design.paper import Figure, Paper
from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.references import (
    Find,
    NoneFinite,
    Unresolved,
    look_up,
    resolve,
)

Arms = dict[str, list[Record]]
"""Label of an arm to its records, one a seed."""


@dataclass(frozen=True)
class Picture:
    """A picture, not drawn yet.

    Args:
        name: of its file.
        claim: the claim beside which it stands; "" for the paper as a whole.
        title: what it shows.
        caption: what to look at.
        backend: on which the runs were made that it shows.
        also: other claims that it shows.
        digest: of all that it is drawn from: records, words and code.
        draw: gives the matplotlib Figure.
    """

    name: str
    claim: str
    title: str
    caption: str
    backend: str
    also: tuple[str, ...]
    digest: str
    draw: Callable[[], Any]


def pictures(
    paper: Paper, records: Mapping[str, Accepted], rows: Sequence[Row]
) -> Iterator[Picture]:
    """The ledger as a picture, then every figure that the records suffice for.

    Args:
        paper: whose figures they are.
        records: backend to its records.
        rows: the paper's ledger rows, judged anew.
    """
    yield Picture(
        name="ledger",
        claim="",
        title="The ledger",
        caption="Effect and interval over seeds of each claim; what is shaded counts.",
        backend=", ".join(dict.fromkeys(row.backend for row in rows)),
        also=(),
        digest=_digest(_drawing_code(paper, plots.ledger), stored.to_json(rows)),
        draw=lambda: plots.ledger(rows),
    )
    for figure in paper.figures:
        shown = [row for row in rows if figure.claim in ("", row.claim)]
        for scale, seeds in dict.fromkeys(_run(figure, row) for row in shown):
            if not figure.drawn_at(scale):
                continue
            arms = {
                row.backend: _arms(figure, _finder(paper, figure, records, row, rows), scale, seeds)
                for row in shown
                if _run(figure, row) == (scale, seeds) and row.backend in records
            }
            arms = {backend: own for backend, own in arms.items() if own}
            yield from _of_figure(paper, figure, arms, scale, seeds)


def _run(figure: Figure, row: Row) -> tuple[str, tuple[int, ...]]:
    """Scale and seeds of the figure beside that row; a study has seeds of its own."""
    if figure.claim or row.scale not in figure.experiment.scales:
        return row.scale, row.seeds
    return row.scale, figure.experiment.at(row.scale).seeds


def _finder(
    paper: Paper, figure: Figure, records: Mapping[str, Accepted], row: Row, rows: Sequence[Row]
) -> Find:
    """The records that the row was judged on; where these are of another experiment, those of the
    builds that the rows name, since a page shows what was made together.
    """
    if figure.claim and paper.claim(figure.claim).experiment == figure.experiment:
        return records[row.backend].of(row.builds)
    others = [other for other in rows if other.backend == row.backend]
    builds = dict.fromkeys(build for other in (row, *others) for build in other.builds)
    return records[row.backend].of(tuple(builds), or_its_only_one=True)


def _of_figure(
    paper: Paper, figure: Figure, arms: Mapping[str, Arms], scale: str, seeds: tuple[int, ...]
) -> Iterator[Picture]:
    """A picture for each backend, or one across them where there are several."""
    code = _drawing_code(paper, figure.draw)
    across = {"backends": arms} if len(arms) > 1 else {}
    for name, shown in across.items() if figure.across else arms.items():
        backend = ", ".join(arms) if figure.across else name
        note = plots.caption(scale, backend, seeds)
        yield Picture(
            name=f"{figure.name}-{scale}-seeds{min(seeds)}to{max(seeds)}-{name}",
            claim=figure.claim,
            title=figure.title,
            caption=figure.caption,
            backend=backend,
            also=figure.also,
            digest=_digest(code, note, *_contents(shown)),
            draw=functools.partial(figure.draw, shown, note),
        )


def _arms(figure: Figure, find: Find, scale: str, seeds: tuple[int, ...]) -> Arms:
    """The records of each arm, of the panels for which all are there."""
    records: Arms = {}
    lacking = set()
    for label, arm in figure.shown(scale).items():
        if (own := _records(figure, find, scale, arm, seeds)) is None:
            lacking.add(figure.panel(label))
        else:
            records[label] = own
    return {label: own for label, own in records.items() if figure.panel(label) not in lacking}


def _records(figure: Figure, find: Find, scale: str, arm, seeds) -> list[Record] | None:
    """The arm's record of each seed; None where one is missing."""
    at_scale = figure.experiment.at(scale)
    try:
        runs = [resolve(at_scale, arm, seed, find) for seed in seeds]
    except (NoneFinite, Unresolved):
        return None
    own = [look_up(find, at_scale, run, figure.columns) for run in runs]
    there = [record for record in own if record is not None]
    return there if len(there) == len(own) else None


# What a picture is drawn from, as a digest


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def _contents(shown: Any) -> Iterator[str | bytes]:
    """All that a drawing function may read of the records it is given, in order."""
    if isinstance(shown, Record):
        yield repr(shown.settings)
        for name, arrays in sorted(shown.columns.items()):
            for array in arrays:
                yield f"{name} {array.dtype} {array.shape}"
                yield array.tobytes()
    elif isinstance(shown, Mapping):
        for label, inside in shown.items():
            yield label
            yield from _contents(inside)
    else:
        yield str(len(shown))
        for inside in shown:
            yield from _contents(inside)


def _drawing_code(paper: Paper, draw: Callable) -> str:
    """Digest of the files of the paper, the function and our plots, and of matplotlib's version.

    It changes with more than the one figure, and a picture is drawn once too often then.
    """
    function = inspect.unwrap(draw.func if isinstance(draw, functools.partial) else draw)
    folders = {Path(plots.__file__).parent, *_folders(paper.package)}
    files = {path for folder in folders for path in folder.rglob("*.py")}
    files.add(Path(inspect.getsourcefile(function) or plots.__file__))
    return _code_digest(tuple(sorted(files)))


@functools.cache
def _code_digest(files: tuple[Path, ...]) -> str:
    return _digest(matplotlib.__version__, *(path.read_bytes() for path in files))


def _folders(package: str) -> list[Path]:
    """Where a package lies; nothing for one that was made in a notebook or a test."""
    spec = importlib.util.find_spec(package)
    return [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
