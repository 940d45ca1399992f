"""Fixed position embeddings of sines and cosines, in one dimension and in two."""

from typing import Any

import numpy as np
from keras import ops

from wdattn.ops.positions import cos_sin


def sine_cosine(positions: Any, features: int, max_wavelength: float, dtype: str) -> Any:
    """Vaswani et al. (2017), Section 3.5: sine and cosine alternate, features 2k and 2k + 1.

    Args:
        positions: `(tokens,)` or `(batch, tokens)` int, as `token_positions` gives them.
        features: int, even.
        max_wavelength: float > 0. The angles are position * max_wavelength^(-2k / features).
        dtype: float32 or float64.

    Returns:
        Tensor of the shape of `positions` and an axis of features.
    """
    half = features // 2
    frequencies = max_wavelength ** (-np.arange(half) / half)
    cos, sin = cos_sin(positions, frequencies, dtype)
    both = ops.stack([sin, cos], axis=-1)
    return ops.reshape(both, (*ops.shape(sin)[:-1], features))


def sine_cosine_2d(rows: int, columns: int, features: int, max_wavelength: float) -> np.ndarray:
    """Beyer et al. (2022), Section 2: quarters sin(column), cos(column), sin(row), cos(row).

    Args:
        rows: int >= 1, of the grid.
        columns: int >= 1, of the grid.
        features: int, a multiple of 4 and at least 8.
        max_wavelength: float > 0. With q = features / 4 the angles are
            position * max_wavelength^(-k / (q - 1)), k = 0, ..., q - 1.

    Returns:
        `(rows * columns, features)` float64, row by row.
    """
    quarter = features // 4
    frequencies = max_wavelength ** (-np.arange(quarter) / (quarter - 1))
    row, column = (axis.reshape(-1, 1) * frequencies for axis in np.mgrid[:rows, :columns])
    return np.concatenate([np.sin(column), np.cos(column), np.sin(row), np.cos(row)], axis=1)
