"""Where the variables of a model stand in one row of all its parameters."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from keras import ops

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """Which entries of a row belong to which variable, one variable behind the other.

    Args:
        paths: of the variables, each once.
        shapes: of the variables, in the same order.
    """

    paths: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, variables: Sequence[Any]) -> "Layout":
        """The layout of Keras variables in their order.

        Args:
            variables: sequence of `keras.Variable`.

        Returns:
            Layout.

        Raises:
            ValueError: if two variables have one path.
        """
        paths = [variable.path for variable in variables]
        if twice := sorted({path for path in paths if paths.count(path) > 1}):
            raise ValueError(
                f"`variables` must have paths of their own, but several are called "
                f"{', '.join(twice)}; give each layer a name"
            )
        return cls(tuple(paths), tuple(tuple(variable.shape) for variable in variables))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """How many entries each variable has."""
        return tuple(math.prod(shape) for shape in self.shapes)

    def cut(self, row: Any) -> dict[str, Any]:
        """The variables of a row.

        Args:
            row: `(entries,)` tensor or NumPy array.

        Returns:
            Path to tensor, or to NumPy array.
        """
        reshape = np.reshape if isinstance(row, np.ndarray) else ops.reshape
        places = zip(self.paths, self.shapes, self.sizes, itertools.accumulate(self.sizes),
                     strict=True)  # fmt: skip
        return {path: reshape(row[end - size : end], shape) for path, shape, size, end in places}

    def join(self, tensors: Mapping[str, Any]) -> Any:
        """The row of these variables.

        Args:
            tensors: path to tensor.

        Returns:
            `(entries,)` tensor.
        """
        return ops.concatenate([ops.reshape(tensors[path], (-1,)) for path in self.paths])

    def spread(self, values: Sequence[float]) -> np.ndarray:
        """A row with one value for each variable.

        Args:
            values: number for each variable, in the order of the paths.

        Returns:
            `(entries,)` array.
        """
        return np.repeat(np.asarray(values), self.sizes)
