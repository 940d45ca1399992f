"""What was measured in one run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from wdattn.reproduction.design.settings import Settings


@dataclass(frozen=True)
class Record:
    """What was measured in one run.

    Args:
        settings: the run.
        columns: name to `(steps, values)`, where `steps` is `(times,)` and `values` is
            `(times, ...)`.
        manifest: how it was made: run id, build, backend, versions, seconds; digests of its last
            weights and of those that are kept.
    """

    settings: Settings
    columns: dict[str, tuple[np.ndarray, np.ndarray]]
    manifest: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The run's id."""
        return self.manifest["id"]

    @property
    def kept(self) -> tuple[int, ...]:
        """The iterates whose weights were kept."""
        return tuple(self.manifest.get("kept", ()))

    def __getitem__(self, column: str) -> np.ndarray:
        return self._column(column)[1]

    def steps(self, column: str) -> np.ndarray:
        """The iterates at which `column` was measured."""
        return self._column(column)[0]

    def watched(self, watch: Mapping[str, Sequence[int]]) -> "Record | None":
        """The record with these iterates of these columns alone; None if it lacks one."""
        columns = {}
        for name, asked in watch.items():
            steps, values = self.columns.get(name, (np.array([], "int64"), np.array([])))
            kept = np.isin(steps, asked)
            if kept.sum() < len(asked):
                return None
            columns[name] = steps[kept], values[kept]
        return replace(self, columns=columns)

    def _column(self, column):
        if column not in self.columns:
            raise KeyError(
                f"no column {column!r} in the record of {self.settings}; "
                f"it has {', '.join(sorted(self.columns)) or 'none'}"
            )
        return self.columns[column]
