"""`python -m docs.generators` writes docs/data/<key>.json for each paper with an explorable."""

import importlib
import pkgutil
from pathlib import Path

from docs.generators import explorables
from docs.generators.explorables import frame
from wdattn import papers, reproduction

DOCS = Path(__file__).parents[1]


def main(out=DOCS / "data", records=DOCS / "records"):
    """Writes the data of every explorable.

    Args:
        out: folder for the JSON files.
        records: folder with a folder of records a paper.
    """
    modules = {module.name for module in pkgutil.iter_modules(explorables.__path__)}
    for key in sorted(modules & set(papers.KEYS)):
        module = importlib.import_module(f"{explorables.__name__}.{key}")
        frame.write(module.describe(reproduction.load(records / key)), out / f"{key}.json")


if __name__ == "__main__":
    main()
