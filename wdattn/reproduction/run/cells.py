"""What a stack of runs has measured so far: an array for each run, column and iterate."""

from collections.abc import Iterator, Mapping

import numpy as np

Columns = dict[str, tuple[np.ndarray, np.ndarray]]


class Cells:
    """Arrays by run of the stack, column and iterate.

    A cell after a non-finite weight is the scalar NaN when added and takes the shape of the
    column's other cells when read.
    """

    def __init__(self):
        self._columns: dict[tuple[int, str], dict[int, np.ndarray]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}

    def add(self, run: int, column: str, step: int, value) -> None:
        """Stores one cell as float64."""
        cell = np.asarray(value, "float64")
        self._columns.setdefault((run, column), {})[step] = cell
        self._shapes[column] = max(self._shapes.get(column, ()), cell.shape, key=len)

    def extend(self, run: int, columns: Columns) -> None:
        """Adds the cells of whole columns."""
        for name, (steps, values) in columns.items():
            for step, value in zip(steps, values, strict=True):
                self.add(run, name, int(step), value)

    def columns(self, run: int) -> Columns:
        """The columns of one run: name to iterates `(times,)` and values `(times, ...)`."""
        return {name: self._stacked(run, name) for of, name in self._columns if of == run}

    def iterates(self) -> Iterator[tuple[int, str, set[int]]]:
        """Each run and column, and the iterates that it has cells of."""
        for (run, name), cells in self._columns.items():
            yield run, name, set(cells)

    def _stacked(self, run, name):
        cells, shape = self._columns[run, name], self._shapes[name]
        steps = np.array(sorted(cells), "int64")
        return steps, np.stack([np.broadcast_to(cells[step], shape) for step in steps])

    def state(self) -> dict[str, np.ndarray]:
        """Flat arrays from which `restore` makes the same cells again."""
        flat = {}
        for run, name in self._columns:
            steps, values = self._stacked(run, name)
            flat[f"cells/{run}/{name}/steps"] = steps
            flat[f"cells/{run}/{name}/values"] = values
        return flat

    def restore(self, flat: Mapping[str, np.ndarray]) -> None:
        """Takes over what `state` gave; other keys are left alone."""
        for key in flat:
            if key.startswith("cells/") and key.endswith("/steps"):
                _, run, name, _ = key.split("/")
                values = flat[f"cells/{run}/{name}/values"]
                self.extend(int(run), {name: (flat[key], values)})
