"""Keras callbacks: what happens during `fit`."""

from wdattn.callbacks.monitor import Monitor
from wdattn.callbacks.step_log import StepLog
from wdattn.callbacks.weight_decay_scheduler import WeightDecayScheduler

__all__ = ["Monitor", "StepLog", "WeightDecayScheduler"]
