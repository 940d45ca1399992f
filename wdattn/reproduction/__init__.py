"""The engine: runs, records, claims, verdicts and the ledger. It knows no paper.

Importing it loads no Keras: training does, when it starts.
"""

from wdattn.reproduction.claim import AllOf, Claim, Inside, instead
from wdattn.reproduction.effect import Effect, Record, contrast, difference, reads, single, slope
from wdattn.reproduction.executor import Executor, Request
from wdattn.reproduction.experiment import Experiment, Scale, Settings, at, end, every, last
from wdattn.reproduction.judge import Judgement, Part
from wdattn.reproduction.ledger import Ledger
from wdattn.reproduction.paper import Figure, Paper
from wdattn.reproduction.progress import Live, Silent
from wdattn.reproduction.records import Records, judge, load
from wdattn.reproduction.references import Best
from wdattn.reproduction.statistics import t_interval
from wdattn.reproduction.store import Store, StoreBusy
from wdattn.reproduction.system import Moment, System
from wdattn.reproduction.workers import WorkerLost

__all__ = [
    "AllOf",
    "Best",
    "Claim",
    "Effect",
    "Executor",
    "Experiment",
    "Figure",
    "Inside",
    "Judgement",
    "Ledger",
    "Live",
    "Moment",
    "Paper",
    "Part",
    "Record",
    "Records",
    "Request",
    "Scale",
    "Settings",
    "Silent",
    "Store",
    "StoreBusy",
    "System",
    "WorkerLost",
    "at",
    "contrast",
    "difference",
    "end",
    "every",
    "instead",
    "judge",
    "last",
    "load",
    "reads",
    "single",
    "slope",
    "t_interval",
]
