"""Records made with other versions than the installed ones, in words."""

from collections.abc import Sequence

from wdattn.ledger.row import Row
from wdattn.reproduction.judge.versions import drifted


def drift(rows: Sequence[Row]) -> list[str]:
    """A line for each library whose version is not the one that records were made with.

    Args:
        rows: ledger rows.
    """
    lines = [line for row in rows for versions in row.versions for line in drifted(versions)]
    return list(dict.fromkeys(lines))
