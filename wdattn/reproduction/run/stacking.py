"""Which runs are trained together: decided once, here, and written down before the first step."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wdattn.reproduction.design.settings import Settings

MOST_TOGETHER = 2**30
"""Bytes that a stack of several runs may take, as `Size.stack` counts; one run may take more."""

TINY = 10_000
"""Parameters below which runs are stacked on every backend: a step is mostly overhead there."""

SMALL = {"jax": TINY, "tensorflow": TINY, "torch": 1_000_000}
"""Parameters below which a backend stacks runs, as measured: one run's step alone and in a stack
of six takes, with 20 000 parameters of a ResNet, 3.2 and 5.0 ms on JAX, 3.4 and 3.0 on TensorFlow
after 20 s of tracing, 29 and 6.0 on PyTorch; with 309 000, 11 and 86, 8.3 and 13, 34 and 16; with
136 000 of a GPT 24 and 25, 25 and 25, 54 to 84 and 30."""

_BYTES = {"float32": 4, "float64": 8, "mixed_bfloat16": 4}


@dataclass(frozen=True)
class Size:
    """What one run keeps in memory.

    Args:
        parameters: entries of its trainable variables.
        slots: arrays that its optimizer keeps for each parameter.
        batch: bytes of one step's inputs and targets.
        activations: bytes of what the forward pass keeps for the gradient, where it is known.
    """

    parameters: int
    slots: int = 0
    batch: int = 0
    activations: int = 0

    def stack(self, runs: int, precision: str = "float32") -> int:
        """Bytes of a stack of so many runs: weights, gradients, slots, batches, this and the next.

        Args:
            runs: int >= 1.
            precision: as in `Settings`.
        """
        copies = 2 + self.slots
        one = _BYTES[precision] * copies * self.parameters + 2 * self.batch + self.activations
        return runs * one


def stacks(
    runs: Iterable[Settings], size: Callable[[Settings], Size], backend: str, jobs: int
) -> list[list[Settings]]:
    """Runs that are trained together.

    Tiny systems are stacked whole. A backend that gains from stacking small nets stacks them too,
    in as many stacks as there are jobs. Larger ones are trained alone, side by side. No stack takes
    more memory than `MOST_TOGETHER`.

    Args:
        runs: in the order in which they are to stand in their stacks.
        size: a run to its size; asked once for a group of runs that may share a stack.
        backend: "jax", "tensorflow" or "torch".
        jobs: stacks at a time.

    Returns:
        The stacks, each of at least one run.
    """
    groups: dict[tuple, list[Settings]] = defaultdict(list)
    for run in runs:
        groups[run.group()].append(run)
    return [
        group[begin : begin + most]
        for group in groups.values()
        for most in [_most(len(group), size(group[0]), group[0].precision, backend, jobs)]
        for begin in range(0, len(group), most)
    ]


def _most(count, size, precision, backend, jobs) -> int:
    """How many of a group of so many runs stand in one stack."""
    if size.parameters >= SMALL[backend]:
        return 1
    fitting = max(1, MOST_TOGETHER // max(1, size.stack(1, precision)))
    shared = count if size.parameters < TINY else -(-count // jobs)
    return min(fitting, shared)


def size_of(system, settings: Settings) -> Size:
    """The size of a run of a system that is at hand.

    Args:
        system: of `Paper.system`.
        settings: the run.
    """
    return Size(
        sum(math.prod(variable.shape) for variable in system.model.trainable_variables),
        system.update.slots,
        sum(array.nbytes for array in system.batch(settings, 0)),
    )
