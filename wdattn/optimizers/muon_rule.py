"""Momentum whose matrices are orthogonalised."""

import math
import re
from dataclasses import dataclass, field

from keras import ops

from wdattn.arguments import flag, integer, real
from wdattn.optimizers.update_rules import SGD, Adam

__all__ = ["MuonRule", "orthogonalize"]


def orthogonalize(matrix, iterations=5):
    r"""A matrix with the same singular vectors and singular values near 1.

    $$X \leftarrow a X + (b X X^\top + c (X X^\top)^2) X$$

    from X = matrix over its Frobenius norm, with a = 3.4445, b = -4.7750, c = 2.0315: the
    Newton-Schulz iteration of Jordan et al. (2024), whose singular values end between about 0.7
    and 1.2.

    Args:
        matrix: `(rows, columns)` tensor.
        iterations: int >= 1.

    Returns:
        Tensor like `matrix`.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = ops.transpose(matrix) if tall else matrix
    x = x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7)
    for _ in range(iterations):
        gram = ops.matmul(x, ops.transpose(x))
        x = 3.4445 * x + ops.matmul(-4.7750 * gram + 2.0315 * ops.matmul(gram, gram), x)
    return ops.transpose(x) if tall else x


@dataclass(frozen=True)
class MuonRule:
    r"""Muon as an update rule: momentum whose matrices are orthogonalised.

    $$m \leftarrow \mu m + g, \qquad d = 0.2 \sqrt{\max(A, B)} \; \mathrm{NS}(g + \mu m)$$

    for a matrix of shape (A, B): Liu et al. (2025, arXiv 2502.16982), where 0.2 gives the entries
    of d the size of Adam's, so that one rate and decay serve both. A three-dimensional kernel of
    attention is one matrix, (features, heads * width) or, after the heads, (heads * width,
    features). Other variables, such as biases, embeddings and LoRA matrices, move by Adam.

    Args:
        momentum: float in [0, 1). μ.
        nesterov: whether NS takes g + μ m; m if not.
        iterations: int >= 1. Of Newton and Schulz.
        adam: rule of the variables that are no matrices.
        exclude: regular expressions for `re.search` on the path of matrices that move by Adam: the
            head of a language model or a classifier.

    Raises:
        ValueError: if an argument is not in its range.
    """

    momentum: float = 0.95
    nesterov: bool = True
    iterations: int = 5
    adam: Adam = field(default_factory=Adam)
    exclude: tuple[str, ...] = ()

    slots = 2
    """Arrays kept for each parameter: the buffer, or the mean and the square of Adam."""

    def __post_init__(self):
        real("momentum", self.momentum, least=0, below=1)
        flag("nesterov", self.nesterov)
        integer("iterations", self.iterations)
        listed = isinstance(self.exclude, list | tuple)
        if not (listed and all(isinstance(pattern, str) for pattern in self.exclude)):
            raise ValueError(f"`exclude` must be a list of strings, got {self.exclude!r}")
        object.__setattr__(self, "exclude", tuple(self.exclude))

    def of(self, path: str, shape: tuple[int, ...]):
        """The rule of one variable.

        Args:
            path: of the variable.
            shape: of the variable.

        Returns:
            Rule for its gradient: `adam`, or one for matrices.
        """
        excluded = any(re.search(pattern, path) for pattern in self.exclude)
        if excluded or len(shape) not in (2, 3) or not _MATRIX.search(path):
            return self.adam
        # (heads, width, features) in the projection after the heads, else (features, heads, width).
        rows = math.prod(shape[:-1] if _AFTER_HEADS.search(path) else shape[:1])
        return _Orthogonal(SGD(self.momentum, self.nesterov), self.iterations, rows)


_MATRIX = re.compile(r"(kernel|(^|/)value|(^|/)key_query)$")
_AFTER_HEADS = re.compile(r"out(put)?(_proj\w*)?/kernel$")


@dataclass(frozen=True)
class _Orthogonal:
    """Muon's rule for one matrix, whose first axes together have so many rows."""

    momentum: SGD
    iterations: int
    rows: int

    @property
    def slots(self) -> int:
        return self.momentum.slots

    def __call__(self, gradient, slots, step):
        direction, kept = self.momentum(gradient, slots, step)
        matrix = ops.reshape(direction, (self.rows, -1))
        size = 0.2 * math.sqrt(max(matrix.shape))
        turned = size * orthogonalize(matrix, self.iterations)
        return ops.reshape(turned, gradient.shape), kept
