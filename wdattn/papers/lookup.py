"""Papers by key: folders of this room, and packages that other people have installed."""

import importlib

from wdattn.reproduction.design import discovery
from wdattn.reproduction.design.paper import Paper


def keys() -> tuple[str, ...]:
    """The keys of the papers that can be re-measured, in alphabetical order."""
    return tuple(discovery.packages())


def lookup(key: str) -> Paper:
    """The paper of that key.

    Args:
        key: one of `keys()`.

    Raises:
        ValueError: if there is no such paper, and lists the known ones; or if the package that
            brings it has none of that key.

    Examples:
        >>> lookup("ahn2024").claim("C6").id
        'C6'
    """
    packages = discovery.packages()
    if key not in packages:
        raise ValueError(f"`key` must be one of {', '.join(packages)}, got {key!r}")
    paper = getattr(importlib.import_module(packages[key]), "PAPER", None)
    if not isinstance(paper, Paper) or paper.key != key:
        raise ValueError(f"{packages[key]} must have a `PAPER` of key {key!r}, got {paper!r}")
    return paper


def scales() -> tuple[str, ...]:
    """The scales of the known papers: smoke, laptop and paper first."""
    named = [scale for key in keys() for scale in lookup(key).scales()]
    return tuple(dict.fromkeys(["smoke", "laptop", "paper", *named]))
