"""A number of an update that is named instead of given."""

from dataclasses import dataclass

__all__ = ["Knob"]


@dataclass(frozen=True)
class Knob:
    """A number that each run, or each step, gives by name.

    Where an `Update` takes a number it takes a knob too. `Replicas` hands the values to its
    compiled step as arguments, and a Keras optimizer keeps them in variables, so that nothing is
    traced anew when they change.

    Args:
        name: under which the value is given.

    Raises:
        ValueError: if the name is empty or no string.

    Examples:
        >>> from wdattn.optimizers import Knob, Update, update_rules
        >>> update = Update(update_rules.SGD(), Knob("learning_rate"), weight_decay=0.1)
        >>> sorted(update.knobs)
        ['learning_rate']
    """

    name: str

    def __post_init__(self):
        if not (isinstance(self.name, str) and self.name):
            raise ValueError(f"`name` must be a string that is not empty, got {self.name!r}")
