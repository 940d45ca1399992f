"""Runs that are trained together, here or in another process."""

import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wdattn.reproduction.design.paper import Paper
from wdattn.reproduction.design.settings import Settings
from wdattn.reproduction.run.cells import Columns
from wdattn.reproduction.run.store import Store

Outcome = tuple[list[tuple[Columns, tuple[np.ndarray, ...]]], float]
"""For each run its columns and last weights; and the seconds that the stack took."""


@dataclass(frozen=True)
class Stack:
    """Runs that are trained together, and all that this takes.

    Args:
        paper: whose runs they are.
        build: of the code that is to train them.
        label: for the progress.
        runs: settings, and the iterates at which each column is measured.
        resumed: the checkpoint to go on from, or None.
        folder: of the store.
        name: under which the stack writes checkpoints; None writes none.
        checkpoint_seconds: least time between two checkpoints.
    """

    paper: Paper
    build: str
    label: str
    runs: list[tuple[Settings, Mapping[str, Any]]]
    resumed: Mapping[str, np.ndarray] | None
    folder: Path
    name: str | None
    checkpoint_seconds: float

    def train(self, advance: Callable[[int], None]) -> Outcome:
        """Trains it in this process; `advance` is told of the steps."""
        from wdattn.reproduction.run.training import Member, train

        started = time.monotonic()
        results = train(
            [Member(settings, watch) for settings, watch in self.runs],
            self.paper.system(self.runs[0][0]),
            self.paper.measures(self.runs[0][0]),
            resumed=self.resumed,
            checkpoint=partial(Store(self.folder).checkpoint, self.name)
            if self.name
            else lambda state: None,
            checkpoint_seconds=self.checkpoint_seconds,
            advance=advance,
        )
        return results, time.monotonic() - started

    def packed(self) -> bytes | None:
        """For another process, which imports the paper's code by name; None if that cannot be."""
        try:
            # What trains does not read the claims, and watches are lambdas, which have no name.
            return pickle.dumps(
                replace(self, paper=self.paper.bare(), folder=self.folder.absolute())
            )
        except Exception:  # it depends on what there is in it
            return None

    @staticmethod
    def unpacked(data: bytes) -> "Stack | None":
        """What `packed` gave, if it is to be had here and means the same code; else None."""
        try:
            stack = pickle.loads(data)
            return stack if stack.paper.build(stack.runs[0][0]) == stack.build else None
        except Exception:  # a paper made in a test or a notebook is not found by name
            return None
