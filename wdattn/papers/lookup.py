"""Papers by key."""

import importlib

from wdattn.reproduction.design.paper import Paper

KEYS = ("ahn2024",)
"""The papers that can be re-measured."""


def lookup(key: str) -> Paper:
    """The paper of that key.

    Args:
        key: one of `KEYS`.

    Raises:
        ValueError: if there is no such paper; it lists the known ones.

    Examples:
        >>> lookup("ahn2024").claim("C6").id
        'C6'
    """
    if key not in KEYS:
        raise ValueError(f"`key` must be one of {', '.join(KEYS)}, got {key!r}")
    return importlib.import_module(f"wdattn.papers.{key}").PAPER
