"""`python -m docs.generators.records`: what the site shows of each paper's records.

For each paper: `docs/records/<key>/ledger.md`, `docs/records/<key>/tables.md`, and in
`docs/images/<key>/` the pictures that the paper's page names.
"""

import re
import shutil
import sys
from pathlib import Path

from wdattn import papers, reproduction
from wdattn.ledger.markdown import markdown
from wdattn.ledger.tables import tables

DOCS = Path(__file__).parents[1]
BACKENDS = ("jax", "backends")
"""Of several pictures of one name that is shown: that of JAX, or the one across backends."""


def main(docs=DOCS, note=lambda line: print(line, file=sys.stderr)):
    """Writes the files of every paper that has records.

    Args:
        docs: folder with `records`, `papers` and `images`.
        note: called with one line for each thing that is left out.
    """
    papers.write_report(docs / "records", note)  # draws the pictures
    rows = papers.judged(docs / "records", note)
    for key in dict.fromkeys(row.paper for row in rows):
        folder = docs / "records" / key
        own = [row for row in rows if row.paper == key]
        (folder / "ledger.md").write_text(markdown(own), "utf-8")
        shown = tables(papers.lookup(key), reproduction.load(folder))
        (folder / "tables.md").write_text(shown, "utf-8")
        for name in _named(docs / "papers" / f"{key}.md", key):
            target = docs / "images" / key / f"{name}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_picture(folder / "figures", name), target)


def _named(page, key):
    """The pictures that a page shows, by name."""
    return sorted(set(re.findall(rf"images/{key}/([\w-]+)\.png", page.read_text("utf-8"))))


def _picture(folder, name):
    """The picture of that name, at laptop scale; a ValueError if there is none."""
    drawn = sorted(folder.glob(f"{name}-laptop-*.png"))
    for backend in BACKENDS:
        for path in drawn:
            if path.stem.endswith(f"-{backend}"):
                return path
    raise ValueError(f"the page shows {name!r}, which is no figure in {folder}")


if __name__ == "__main__":
    main()
