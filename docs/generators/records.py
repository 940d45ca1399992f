"""`python -m docs.generators.records [KEY ...]` writes what the site shows of stored records.

For each paper `docs/records/<key>/ledger.md` and `tables.md`; and in `docs/images/<key>/` the
figures that a page shows: a page names its picture, and it is copied there.
"""

import re
import shutil
import sys
from pathlib import Path

from wdattn import papers, reproduction
from wdattn.ledger import markdown, tables

ROOT = Path(__file__).parents[2]
SHOWN = "jax"
"""The backend whose figures the pages show; one across backends is there once."""


def main(keys=(), root=ROOT, scale="laptop"):
    """Writes the pages' parts of these papers.

    Args:
        keys: of papers; none for all that have records.
        root: Path of the checkout.
        scale: of the figures and tables.
    """
    records = root / "docs" / "records"
    papers.write_report(records)
    rows = papers.judged(records)
    for key in keys or sorted(path.parent.name for path in records.glob("*/ledger.json")):
        own, paper = records / key, papers.lookup(key)
        shown = [row for row in rows if row.paper == key]
        (own / "ledger.md").write_text(markdown.markdown(shown), "utf-8")
        text = tables.tables(paper, reproduction.load(own), scale)
        (own / "tables.md").write_text(text, "utf-8")
        for name in named_figures(root, key):
            target = root / "docs" / "images" / key / f"{name}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(_drawn(own / "figures", name, scale), target)


def named_figures(root, key):
    """The figures of a paper that a page of the site or README shows, by name.

    Args:
        root: Path of the checkout.
        key: of the paper.
    """
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    found = {
        name for page in pages for name in re.findall(
            rf"images/{key}/([a-z0-9-]+)\.png", page.read_text("utf-8"))
    }  # fmt: skip
    return sorted(found)


def _drawn(folder, name, scale):
    """The file of a figure, on the backend shown or across all."""
    found = [
        path
        for suffix in (SHOWN, "backends")
        for path in sorted(folder.glob(f"{name}-{scale}-seeds*-{suffix}.png"))
    ]
    if not found:
        raise ValueError(f"`name` must be of a figure that the records suffice for, got {name!r}")
    return found[0]


if __name__ == "__main__":
    main(sys.argv[1:])
