"""Data sets: one module each, seeded, NumPy arrays out. A synthetic batch is a pure function of its
arguments, so that an interrupted run needs no generator's state to go on.
"""

from wdattn.data.in_context_regression import in_context_regression

__all__ = ["in_context_regression"]
