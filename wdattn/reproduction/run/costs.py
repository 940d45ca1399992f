"""What would have to be run, and what that takes; nothing is made."""

from collections.abc import Sequence
from typing import Any

from wdattn.reproduction.run.executor import Executor
from wdattn.reproduction.run.stacking import stacks
from wdattn.reproduction.run.wanted import Plan, Request


def costs(executor: Executor, requests: Sequence[Request]) -> list[dict[str, Any]]:
    """A dict for each experiment that the requests read.

    Args:
        executor: that would fulfil them.
        requests: what somebody reads.

    Returns:
        `experiment`, `runs` and how many of them are `stored`, `steps` of the longest run,
        `parameters` of the largest model, `seconds` with one job, `megabytes` of the largest stack,
        and `searched`: whether there are runs that cannot be named yet.
    """
    named, missing, waiting = executor.outlook(requests)
    experiments = dict.fromkeys([*(one.experiment for one in named.values()), *waiting])
    return [
        _cost(
            executor,
            name,
            {run: one for run, one in named.items() if one.experiment == name},
            {run: one for run, one in missing.items() if one.experiment == name},
            len(waiting.get(name, ())),
        )
        for name in experiments
    ]


def _cost(executor: Executor, name: str, named: Plan, missing: Plan, waiting: int):
    paper, sizes = executor.paper, {}

    def size(settings):
        if (kind := settings.group()) not in sizes:
            sizes[kind] = paper.size(settings)
        return sizes[kind]

    runs = list(missing or named)
    trained = stacks(runs, size, executor.backend, executor.jobs or 1)
    memory = [size(one[0]).stack(len(one), one[0].precision) for one in trained]
    seconds = paper.experiments()[name].at(executor.scale).seconds()
    return {
        "experiment": name,
        "runs": len(named) + waiting,
        "stored": len(named) - len(missing),
        "steps": max((settings.steps for settings in named), default=0),
        "parameters": max((size(one[0]).parameters for one in trained), default=0),
        "seconds": (len(missing) + waiting) * seconds,
        "megabytes": max(memory, default=0) / 2**20,
        "searched": waiting > 0,
    }
