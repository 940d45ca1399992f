"""The versions that records were made with, against the installed ones."""

import importlib.metadata
from collections.abc import Iterator, Mapping


def drifted(versions: Mapping[str, str]) -> Iterator[str]:
    """A line for each library whose installed version is another.

    Args:
        versions: what a record's manifest says: `backend`, `backend_version`, `keras`, `numpy`.
    """
    made_with = {
        "keras": versions.get("keras"),
        "numpy": versions.get("numpy"),
        versions.get("backend"): versions.get("backend_version"),
    }
    for name, version in made_with.items():
        try:
            now = importlib.metadata.version(name) if name and version else version
        except importlib.metadata.PackageNotFoundError:
            continue
        if now != version:
            yield f"records made with {name} {version} are judged under {now}"
