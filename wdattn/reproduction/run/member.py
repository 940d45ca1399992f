"""A run of a stack: what is wanted of it, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wdattn.reproduction.design.settings import Settings
from wdattn.reproduction.run.cells import Columns


@dataclass(frozen=True)
class Member:
    """A run of a stack, and what is wanted of it.

    Args:
        settings: the run.
        watch: column to the iterates at which it is measured.
        keep: iterates whose weights are kept.
        given: what its references point to: name of a setting to weights by path, or to the
            iterates and values of a column.
    """

    settings: Settings
    watch: Mapping[str, Sequence[int]]
    keep: Sequence[int] = ()
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """What came of a member: its columns, and digests of its last and its kept weights."""

    columns: Columns
    weights: str
    kept: dict[int, str]
