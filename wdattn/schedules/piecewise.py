"""Schedules one after the other."""

from dataclasses import dataclass

import keras
from keras import ops

from wdattn.schedules.schedule import Foreign, Schedule, part, peak_of, rising

__all__ = ["Piecewise"]


@keras.saving.register_keras_serializable("wdattn")
@dataclass(frozen=True)
class Piecewise(Schedule):
    """Schedules one after the other, each by a clock of its own from the step where it begins.

    Args:
        boundaries: int >= 1, or a sequence of them in rising order: the steps at which the next
            piece begins.
        pieces: sequence of one more schedules, or floats >= 0 for constant ones.

    Raises:
        ValueError: if an argument is not in its range, or the numbers do not fit.
    """

    boundaries: int | tuple[int, ...]
    pieces: tuple[Foreign | float, ...]

    def __post_init__(self):
        places = rising("boundaries", self.boundaries)
        pieces = tuple(part(f"pieces[{i}]", piece) for i, piece in enumerate(self.pieces))
        if len(pieces) != len(places) + 1:
            raise ValueError(
                f"`pieces` must be {len(places) + 1} for {len(places)} boundaries, got "
                f"{len(pieces)}"
            )
        object.__setattr__(self, "boundaries", places)
        object.__setattr__(self, "pieces", pieces)

    @property
    def peak(self):
        """The largest of the pieces' peaks, also of one that is cut off before it gets there."""
        peaks = [peak_of(piece) for piece in self.pieces]
        return None if None in peaks else max(peaks)

    def at(self, step):
        value = self.pieces[0](step)
        for place, piece in zip(self.boundaries, self.pieces[1:], strict=True):
            value = ops.where(step < place, value, piece(ops.where(step > place, step - place, 0)))
        return value
