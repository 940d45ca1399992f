"""What a call would still have to run, and what that costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from wdattn.reproduction.design.settings import Settings
from wdattn.reproduction.run.executor import Executor
from wdattn.reproduction.run.stacking import Size, stacks
from wdattn.reproduction.run.wanted import Request


@dataclass(frozen=True)
class Outlook:
    """What an experiment would still have to run.

    Args:
        paper: key of the paper.
        experiment: name of the experiment.
        runs: how many runs are needed.
        stored: how many of them are stored already.
        steps: of the longest run.
        parameters: of the largest model.
        seconds: an estimate, for two laptop cores with JAX and one job.
        megabytes: weights, gradients, optimizer state and batches of the largest stack.
        searched: whether settings are searched and not chosen yet; then a run may be counted once
            for the search and once for its outcome.
    """

    paper: str
    experiment: str
    runs: int
    stored: int
    steps: int
    parameters: int
    seconds: float
    megabytes: float
    searched: bool


def outlooks(executor: Executor, requests: Sequence[Request]) -> list[Outlook]:
    """What the requests still need, an entry for each experiment; nothing is made.

    Args:
        executor: what would make the runs.
        requests: what is asked for.
    """
    named, missing, waiting = executor.outlook(requests)
    experiments = dict.fromkeys([*(one.experiment for one in named.values()), *waiting])
    return [
        _outlook(
            executor,
            name,
            [run for run, wanted in named.items() if wanted.experiment == name],
            [run for run, wanted in missing.items() if wanted.experiment == name],
            len(waiting.get(name, ())),
        )
        for name in experiments
    ]


def _outlook(
    executor: Executor,
    name: str,
    named: list[Settings],
    missing: list[Settings],
    waiting: int,
) -> Outlook:
    sizes: dict[tuple, Size] = {}

    def size(settings: Settings) -> Size:
        if (kind := settings.group()) not in sizes:
            sizes[kind] = executor.paper.size(settings)
        return sizes[kind]

    trained = stacks(missing or named, size, executor.backend, executor.jobs or 1)
    memory = [size(runs[0]).stack(len(runs), runs[0].precision) for runs in trained]
    seconds = executor.paper.experiments()[name].at(executor.scale).seconds()
    return Outlook(
        paper=executor.paper.key,
        experiment=name,
        runs=len(named) + waiting,
        stored=len(named) - len(missing),
        steps=max((settings.steps for settings in named), default=0),
        parameters=max((size(runs[0]).parameters for runs in trained), default=0),
        seconds=(len(missing) + waiting) * seconds,
        megabytes=max(memory, default=0) / 2**20,
        searched=waiting > 0,
    )
