"""Runs that are trained together, here or in another process."""

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wdattn.reproduction.design.paper import Paper
from wdattn.reproduction.run import archive
from wdattn.reproduction.run.integrity import Misfit
from wdattn.reproduction.run.kept_weights import KeptWeights
from wdattn.reproduction.run.member import Member, Trained
from wdattn.reproduction.run.stack_states import Manifest, StackStates


@dataclass(frozen=True)
class Outcome:
    """What came of a stack.

    Args:
        members: what came of each.
        seconds: that it took.
        notes: a line on each file that could not be used.
    """

    members: list[Trained]
    seconds: float
    notes: list[str]


@dataclass(frozen=True)
class Stack:
    """Runs that are trained together, and all that this takes.

    Args:
        paper: whose runs they are.
        label: for the progress.
        members: runs, and what is wanted of each.
        manifest: what the stack is, as the store has it.
        folder: of the store.
        replayed: whether it was trained before: then it leaves no checkpoints.
        checkpoint_seconds: least time between two checkpoints.
    """

    paper: Paper
    label: str
    members: Sequence[Member]
    manifest: Manifest
    folder: Path
    replayed: bool = False
    checkpoint_seconds: float = 5.0

    @property
    def steps(self) -> int:
        """How many each run takes."""
        return self.members[0].settings.steps

    def train(self, advance: Callable[[int], None]) -> Outcome:
        """Trains it in this process; `advance` is told of the steps."""
        # Here and not at the top: this loads Keras.
        from wdattn import backend
        from wdattn.reproduction.run.training import train

        started, notes = time.monotonic(), []

        def spoiled(path, why):
            aside = archive.move_aside(path, self.folder / "set_aside")
            notes.append(f"{path.name} was moved to {aside}, and its stack starts anew ({why})")

        states = StackStates(self.folder / "stacks", spoiled)
        weights = KeptWeights(self.folder / "weights", spoiled)
        ids = [member["id"] for member in self.manifest["members"]]
        settings = self.members[0].settings
        with backend.precision(settings.precision):

            def checkpoint(state):
                if not self.replayed:
                    states.save(self.manifest, state)

            def trained(resumed):
                return train(
                    self.members,
                    self.paper.system(settings),
                    self.paper.measures(settings),
                    resumed=resumed,
                    checkpoint=checkpoint,
                    checkpoint_seconds=self.checkpoint_seconds,
                    keep=lambda run, *kept: weights.keep(ids[run], *kept),
                    advance=advance,
                )

            try:
                results = trained(None if self.replayed else states.load(self.manifest))
            except Misfit as error:
                states.refuse(self.manifest, str(error))
                results = trained(None)
        return Outcome(results, time.monotonic() - started, notes)

    def packed(self) -> bytes | None:
        """For another process, which imports the paper's code by name; None if that cannot be."""
        try:
            # What trains does not read the claims, and watches are lambdas, which have no name.
            bare = replace(self, paper=self.paper.bare(), folder=self.folder.absolute())
            return pickle.dumps(bare)
        except Exception:  # it depends on what there is in it
            return None

    @staticmethod
    def unpacked(data: bytes) -> "Stack | None":
        """What `packed` gave, if it is to be had here and means the same code; else None."""
        try:
            stack = pickle.loads(data)
            build = stack.paper.build(stack.members[0].settings)
            return stack if build == stack.manifest["build"] else None
        except Exception:  # a paper made in a test or a notebook is not found by name
            return None
