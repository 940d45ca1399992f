"""What a call would still have to run, and what that costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from wdattn.reproduction.design.paper import Paper
from wdattn.reproduction.design.references import NoneFinite, Unresolved, resolve
from wdattn.reproduction.design.settings import Settings
from wdattn.reproduction.run.executor import Executor, Request


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
    plan: dict[str, dict[Settings, set[str]]] = {}
    pending: dict[str, set[Settings]] = {}
    for request in requests:
        at_scale = request.experiment.at(executor.scale)
        for seed in request.seeds:
            try:
                resolve(at_scale, request.arm, seed, executor.find)
            except NoneFinite:
                continue
            except Unresolved:
                waiting = pending.setdefault(request.experiment.name, set())
                waiting.add(at_scale.run(request.arm, seed))
        for name, wanted in executor.expand([request]).items():
            for settings, columns in wanted.items():
                plan.setdefault(name, {}).setdefault(settings, set()).update(columns)
    return [_outlook(executor, name, plan[name], len(pending.get(name, ()))) for name in plan]


def _outlook(executor: Executor, name: str, wanted, pending: int) -> Outlook:
    experiment = executor.paper.experiments()[name]
    lacking = executor.lacking(experiment, wanted)
    stacks: dict[tuple, list[Settings]] = {}
    for settings in lacking or wanted:
        stacks.setdefault(settings.group(), []).append(settings)
    sizes = [_size(executor.paper, members) for members in stacks.values()]
    return Outlook(
        paper=executor.paper.key,
        experiment=name,
        runs=len(wanted) + pending,
        stored=len(wanted) - len(lacking),
        steps=max(settings.steps for settings in wanted),
        parameters=max(parameters for parameters, _ in sizes),
        seconds=(len(lacking) + pending) * experiment.at(executor.scale).seconds(),
        megabytes=max(size for _, size in sizes) / 2**20,
        searched=pending > 0,
    )


def _size(paper: Paper, members: Sequence[Settings]) -> tuple[int, float]:
    """Parameters of one run, and bytes of a stack of these runs with one step's batches."""
    system = paper.system(members[0])
    parameters = sum(weight.size for weight in system.start(members[0]))
    batch = sum(array.nbytes for array in system.batch(members[0], 0))
    copies = 2 + system.rule.slots  # weights, gradients, optimizer state
    return parameters, len(members) * (4 * copies * parameters + 2 * batch)
