"""The engine: designs, runs and judges. It knows no paper and draws nothing.

Importing it loads no Keras: training does, when it starts.
"""

from wdattn.reproduction.design.claim import AllOf, Claim, Control, Every, Inside
from wdattn.reproduction.design.effect import Effect, contrast, difference, single, slope
from wdattn.reproduction.design.experiment import AtScale, Experiment, Scale
from wdattn.reproduction.design.paper import Figure, Paper
from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.reductions import few_skipped, final, reads
from wdattn.reproduction.design.references import Best, Choice, Follow, From
from wdattn.reproduction.design.settings import Settings
from wdattn.reproduction.design.system import Snapshot, System
from wdattn.reproduction.design.watch import at, end, every, last
from wdattn.reproduction.judge.judgement import Beside, Judgement, Part
from wdattn.reproduction.judge.records import Records, judge, load
from wdattn.reproduction.judge.statistics import t_interval
from wdattn.reproduction.run.executor import Executor
from wdattn.reproduction.run.progress import Live, Progress
from wdattn.reproduction.run.store import Store, StoreBusy
from wdattn.reproduction.run.wanted import Request
from wdattn.reproduction.run.workers import WorkerLost

__all__ = [
    "AllOf",
    "AtScale",
    "Beside",
    "Best",
    "Choice",
    "Claim",
    "Control",
    "Effect",
    "Every",
    "Executor",
    "Experiment",
    "Figure",
    "Follow",
    "From",
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
    "few_skipped",
    "final",
    "judge",
    "last",
    "load",
    "reads",
    "single",
    "slope",
    "t_interval",
]
