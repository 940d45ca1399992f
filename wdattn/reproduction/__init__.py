"""The engine: designs, runs and judges. It knows no paper and draws nothing.

Importing it loads no Keras: training does, when it starts.
"""

from wdattn.reproduction.design.claim import AllOf, Claim, Control, Inside
from wdattn.reproduction.design.effect import (
    Effect,
    Record,
    contrast,
    difference,
    reads,
    single,
    slope,
)
from wdattn.reproduction.design.experiment import Experiment, Scale, Settings, at, end, every, last
from wdattn.reproduction.design.paper import Figure, Paper
from wdattn.reproduction.design.references import Best, Choice
from wdattn.reproduction.design.system import Snapshot, System
from wdattn.reproduction.judge.judgement import Beside, Judgement, Part
from wdattn.reproduction.judge.records import Records, judge, load
from wdattn.reproduction.judge.statistics import t_interval
from wdattn.reproduction.run.executor import Executor, Request
from wdattn.reproduction.run.progress import Live, Progress
from wdattn.reproduction.run.store import Store, StoreBusy
from wdattn.reproduction.run.workers import WorkerLost

__all__ = [
    "AllOf",
    "Beside",
    "Best",
    "Choice",
    "Claim",
    "Control",
    "Effect",
    "Executor",
    "Experiment",
    "Figure",
    "Inside",
    "Judgement",
    "Live",
    "Paper",
    "Part",
    "Progress",
    "Record",
    "Records",
    "Request",
    "Scale",
    "Settings",
    "Snapshot",
    "Store",
    "StoreBusy",
    "System",
    "WorkerLost",
    "at",
    "contrast",
    "difference",
    "end",
    "every",
    "judge",
    "last",
    "load",
    "reads",
    "single",
    "slope",
    "t_interval",
]
