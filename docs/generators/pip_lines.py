"""`python -m docs.generators.pip_lines` writes the line that installs wdattn into every text.

The line is that of `wdattn.install`; README, pages and tutorials hold copies of it.
"""

import re
from pathlib import Path

from wdattn.install import pip_line

ROOT = Path(__file__).parents[2]
PLACES = ("README.md", "docs/*.md", "tutorials/*.py", "tutorials/*.ipynb")
# A notebook is JSON, where a quotation mark stands behind a backslash.
LINE = re.compile(r'pip install (?P<quote>\\?")wdattn\[(?P<extra>\w+)\][^"\\]*(?P=quote)')


def renewed(text):
    """A text with the line of today in place of each one that it holds.

    Args:
        text: of a Markdown page, a script or a notebook.
    """
    return LINE.sub(lambda found: pip_line(found["extra"]).replace('"', found["quote"]), text)


def main(root=ROOT):
    """Writes the files that hold another line.

    Args:
        root: Path of the checkout.
    """
    for place in PLACES:
        for path in sorted(root.glob(place)):
            text = path.read_text("utf-8")
            if renewed(text) != text:
                path.write_text(renewed(text), "utf-8")


if __name__ == "__main__":
    main()
