"""Rotary position embedding: queries and keys turn with their position."""

from typing import Any

import numpy as np
from keras import ops

from wdattn import arguments
from wdattn.ops.at_least_float32 import at_least_float32
from wdattn.ops.float_tensor import float_tensor
from wdattn.ops.positions import cos_sin, token_positions


def rotary_embedding(x: Any, positions: Any = None, max_wavelength: float = 10_000.0) -> Any:
    r"""Rotates pairs of features by an angle that grows with the token's position.

    $$x_k + \mathrm{i}\, x_{k + d/2} \;\mapsto\;
    e^{\mathrm{i}\, p\, \theta_k} (x_k + \mathrm{i}\, x_{k + d/2}),
    \qquad \theta_k = \lambda^{-2k/d}, \quad k = 0, \dots, d/2 - 1$$

    Su et al. (2021), Section 3.2.2, with position p and $\lambda$ = `max_wavelength`. The product
    of a query and a key then depends on the difference of their positions alone. A pair is a
    feature of the first half and its twin in the second half, the convention of GPT-NeoX and LLaMA;
    the paper itself, and GPT-J, pair neighbours, which is another order of the features.

    Args:
        x: `(batch, tokens, heads, dim)` float, dim even.
        positions: None: 0, 1, 2, ...; an int or int scalar: that of the first token; or those of
            all, int `(tokens,)` or `(batch, tokens)`.
        max_wavelength: float > 0.

    Returns:
        Tensor of the shape and dtype of `x`. Positions that are not tensors have float64 angles.

    Raises:
        ValueError: if an argument is not of this kind, or `dim` is odd.

    Examples:
        >>> [float(x) for x in rotary_embedding([[[[1.0, 0.0]]]], positions=2)[0, 0, 0]]
        [-0.416, 0.909]
    """
    max_wavelength = arguments.real("max_wavelength", max_wavelength, above=0)
    x = float_tensor("x", x, "(batch, tokens, heads, dim)")
    shape = tuple(x.shape)
    if shape[-1] is None or shape[-1] % 2:
        raise ValueError(f"`x` must be (batch, tokens, heads, dim) with an even dim, got {shape}")
    half, exact = shape[-1] // 2, at_least_float32(x)
    frequencies = max_wavelength ** (-np.arange(half) / half)
    tables = cos_sin(token_positions(x, positions), frequencies, exact)
    cos, sin = (table[..., None, :] for table in tables)  # ([batch,] tokens, 1, dim / 2)
    first, second = ops.cast(x[..., :half], exact), ops.cast(x[..., half:], exact)
    turned = ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return ops.cast(turned, x.dtype)
