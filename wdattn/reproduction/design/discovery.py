"""Where papers are: folders of `wdattn/papers`, and packages that other people have installed."""

import importlib.metadata
from pathlib import Path

import wdattn

GROUP = "wdattn.papers"
"""The entry point group by which an installed package brings a paper: `key = "its.package"`."""


def packages() -> dict[str, str]:
    """Key of each paper to the dotted name of its package; nothing is imported.

    Raises:
        ValueError: if an installed package brings a key that is taken.
    """
    folders = sorted(Path(wdattn.__file__).parent.joinpath("papers").glob("*/__init__.py"))
    known = {path.parent.name: f"{GROUP}.{path.parent.name}" for path in folders}
    for point in importlib.metadata.entry_points(group=GROUP):
        if known.setdefault(point.name, point.value) != point.value:
            raise ValueError(
                f"the paper {point.name!r} of {point.value} must have a key of its own: "
                f"{known[point.name]} has it"
            )
    return dict(sorted(known.items()))


def settings_modules() -> set[str]:
    """The modules that a stored record may name the settings class of."""
    return {module for name in packages().values() for module in (name, f"{name}.settings")}
