"""Values over the steps of a training, for a learning rate or a weight decay alike.

Each is a `keras.optimizers.schedules.LearningRateSchedule`, is saved with the optimizer that holds
it, and may stand inside another one. `values(steps)` gives an array to plot.
"""

from wdattn.schedules.constant import Constant
from wdattn.schedules.cosine import Cosine
from wdattn.schedules.exponential import Exponential
from wdattn.schedules.inverse_square_root import InverseSquareRoot
from wdattn.schedules.inverse_to import InverseTo
from wdattn.schedules.linear import Linear
from wdattn.schedules.piecewise import Piecewise
from wdattn.schedules.proportional_to import ProportionalTo
from wdattn.schedules.schedule import Schedule
from wdattn.schedules.step import Step
from wdattn.schedules.warmup import Warmup

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "InverseSquareRoot",
    "InverseTo",
    "Linear",
    "Piecewise",
    "ProportionalTo",
    "Schedule",
    "Step",
    "Warmup",
]
