"""Weights of single iterates, for runs that start from them; beside the records, not in git."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from wdattn.reproduction.run import archive, integrity
from wdattn.reproduction.run.integrity import Misfit

Weights = Mapping[str, np.ndarray]
"""Path of a variable to its array."""


class KeptWeights:
    """Files `<run id>@<iterate>.npz` in one folder, each a model's weights by path.

    Args:
        folder: made when something is kept.
        spoiled: called with a path and the reason when a file is not what it should be.
    """

    def __init__(self, folder: Path, spoiled: Callable[[Path, str], None]):
        self._folder, self._spoiled = folder, spoiled

    def keep(self, run_id: str, step: int, weights: Weights) -> str:
        """Writes the weights of an iterate and gives their digest."""
        archive.write_whole(self._path(run_id, step), archive.packed(weights, compressed=False))
        return integrity.digest(weights)

    def get(self, run_id: str, step: int, digest: str) -> dict[str, np.ndarray] | None:
        """The weights that have this digest, or None; a file with others is spoiled."""
        path = self._path(run_id, step)
        if (data := archive.read_bytes(path)) is None:
            return None
        try:
            weights = archive.arrays(data)
            if integrity.digest(weights) != digest:
                raise Misfit("its contents do not fit their digest")
        except Misfit as error:
            self._spoiled(path, str(error))
            return None
        return weights

    def has(self, run_id: str, step: int) -> bool:
        """Whether there is such a file; what is in it is seen when it is read."""
        return self._path(run_id, step).is_file()

    def _path(self, run_id: str, step: int) -> Path:
        return self._folder / f"{run_id}@{step}.npz"
