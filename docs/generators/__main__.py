"""`python -m docs.generators` writes docs/data/<key>.json for each paper with an explorable."""

from pathlib import Path

from docs.generators import explorables
from docs.generators.explorables import frame
from wdattn import reproduction

DOCS = Path(__file__).parents[1]


def main(out=DOCS / "data", records=DOCS / "records"):
    """Writes the data of every explorable.

    Args:
        out: folder for the JSON files.
        records: folder with a folder of records a paper.
    """
    for key, module in explorables.modules():
        frame.write(module.describe(reproduction.load(records / key)), out / f"{key}.json")


if __name__ == "__main__":
    main()
