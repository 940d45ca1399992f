"""What is to be made: runs, the columns and iterates that somebody reads, the weights to keep."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from wdattn.reproduction.design.experiment import Arm, Experiment
from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.references import NoneFinite, Unresolved, addresses, resolve
from wdattn.reproduction.design.settings import PLAIN, Settings

MOST_RUNS = 100_000
"""More runs than that are refused: nobody waits for them, and their plan alone takes memory."""


@dataclass(frozen=True)
class Request:
    """An arm that somebody reads, on which seeds and in which column.

    Args:
        experiment: whose runs they are.
        arm: settings that differ from the experiment's; may hold references.
        seeds: one run each.
        column: what is measured.
    """

    experiment: Experiment
    arm: Arm
    seeds: tuple[int, ...]
    column: str


@dataclass
class Wanted:
    """What is wanted of one run.

    Args:
        experiment: whose run it is; the first that asks, where several do.
        watch: column to the iterates at which it is measured, for all that ask.
        keep: iterates whose weights are kept.
    """

    experiment: str
    watch: dict[str, set[int]] = field(default_factory=dict)
    keep: set[int] = field(default_factory=set)

    def lacking(self, record: Record | None, has: Callable[[int], bool]) -> "Wanted | None":
        """What of it a record does not have; None if it has all.

        Args:
            record: of the run, or None.
            has: whether the weights of an iterate are there.
        """
        seen = {} if record is None else record.columns
        rest = {
            name: times
            for name, times in self.watch.items()
            if name not in seen or not times <= set(map(int, seen[name][0]))
        }
        kept = () if record is None else record.kept
        keep = {step for step in self.keep if step not in kept or not has(step)}
        return Wanted(self.experiment, rest, keep) if record is None or rest or keep else None


Plan = dict[Settings, Wanted]


def expand(
    requests: Iterable[Request], scale: str, find: Callable[[Settings], Record | None]
) -> tuple[Plan, Plan, dict[str, set[tuple]]]:
    """The runs that the requests name.

    Args:
        requests: what somebody reads.
        scale: at which.
        find: settings to the record of that run, or None.

    Returns:
        The runs that are named, once each; those that must be made before further runs can be
        named; and for each experiment what tells these further runs apart.

    Raises:
        ValueError: if there are more than `MOST_RUNS`, or a column is not watched.
    """
    named: Plan = {}
    needed: Plan = {}
    waiting: dict[str, set[tuple]] = {}
    for request in requests:
        at_scale = request.experiment.at(scale)
        for seed in request.seeds:
            try:
                settings = resolve(at_scale, request.arm, seed, find)
            except NoneFinite:  # nothing to run; the judge says why
                continue
            except Unresolved as missing:
                run = _told(at_scale.run(request.arm, seed))
                waiting.setdefault(request.experiment.name, set()).add(run)
                for need in missing.needs:
                    _want(needed, need.experiment, scale, need.settings, need.columns, need.keep)
            else:
                _want(named, request.experiment, scale, settings, (request.column,))
            if len(named) + len(needed) + sum(map(len, waiting.values())) > MOST_RUNS:
                raise ValueError(f"`seeds` and arms must make at most {MOST_RUNS} runs a call")
    return named, needed, waiting


def starts(plan: Plan, known: Callable[[str], Record | None]) -> Plan:
    """The runs whose weights those of a plan start from, and the iterates.

    Args:
        plan: runs to make.
        known: id to the record of that run, or None.
    """
    parents: Plan = {}
    for settings in plan:
        for address in addresses(settings).values():
            if address.step is not None and (record := known(address.run_id)) is not None:
                wanted = Wanted(record.manifest["experiment"])
                parents.setdefault(record.settings, wanted).keep.add(address.step)
    return parents


def united(*plans: Plan) -> Plan:
    """One plan of several; what is wanted of a run is all that any of them wants."""
    whole: Plan = {}
    for plan in plans:
        for settings, wanted in plan.items():
            own = whole.setdefault(settings, Wanted(wanted.experiment))
            own.keep |= wanted.keep
            for name, times in wanted.watch.items():
                own.watch.setdefault(name, set()).update(times)
    return whole


def _told(run: Settings) -> tuple:
    """What tells a run apart that cannot be named yet; a reference is told by the object it is."""
    values = run.values().values()
    return tuple(one if isinstance(one, (*PLAIN, tuple)) else id(one) for one in values)


def _want(plan, experiment, scale, settings, columns, keep=()) -> None:
    own = plan.setdefault(settings, Wanted(experiment.name))
    own.keep.update(keep)
    for name, times in experiment.at(scale).watching(settings, columns).items():
        own.watch.setdefault(name, set()).update(times)
