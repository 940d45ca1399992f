"""Tables 1 and 2 of Ahn et al. (2024) as Markdown, from the settings and from stored records."""

from collections.abc import Iterable, Sequence

from wdattn.papers.ahn2024.experiments import (
    ADAM,
    BASE,
    DEPTH,
    FEWER,
    FEWER_CONTEXTS,
    GAMMA,
    LARGE,
    LINEAR_ATTENTION,
    NETWORK,
    SGDM,
    SOFTMAX,
    SOFTMAX_ATTENTION,
    SPHERE,
)
from wdattn.papers.ahn2024.settings import RATES
from wdattn.reproduction.design.experiment import Arm, Experiment
from wdattn.reproduction.design.references import NoneFinite, Unresolved, choices
from wdattn.reproduction.judge.records import Records

LAWS = {
    "normal": "N(0, I)",
    "gamma": "√Γ(shape 0.1, scale 10) times a uniform direction",
    "sphere": "a uniform direction",
    "network": "N(0, I); labels are linear in a ReLU network of x",
}
TASKS: dict[str, tuple[Experiment, Arm]] = {
    "Setting 1": (BASE, {}),
    "Setting 2": (BASE, FEWER),
    "Setting 2, condition numbers and curvature": (FEWER_CONTEXTS, {}),
    "Setting 3": (BASE, GAMMA),
    "spherical": (BASE, SPHERE),
    "Appendix B": (NETWORK, {}),
}
SEARCHED: dict[str, tuple[Experiment, Arm]] = {
    **{
        f"{layers} layers, {label}": (DEPTH, {**optimizer, "layers": layers})
        for layers in (2, 4, 6, 8)
        for label, optimizer in (("SGDM", SGDM), ("Adam", ADAM))
    },
    "linear attention, Adam": (SOFTMAX, ADAM | LINEAR_ATTENTION),
    "softmax attention, Adam": (SOFTMAX, ADAM | SOFTMAX_ATTENTION),
}


def settings(scale: str = "laptop") -> str:
    """Table 1: what a task is made of, in the paper and at one of our scales.

    Args:
        scale: whose batch, steps and seeds are set beside the paper's.
    """
    rows = []
    for name, (experiment, arm) in TASKS.items():
        paper, ours = (
            experiment.at("paper").run(arm | {"learning_rate": 0.0}, 0),
            experiment.at(scale).run(arm, 0),
        )
        seeds = [len(experiment.at(which).seeds) for which in ("paper", scale)]
        sizes = ((paper.batch, ours.batch), (paper.steps, ours.steps), seeds)
        pairs = [f"{theirs} / {own}" for theirs, own in sizes]
        rows.append([name, paper.context, LAWS[paper.covariates], *pairs])
    told = [f"{what}: paper / {scale}" for what in ("batch", "steps", "seeds")]
    return _table(["", "n", "covariates x", *told], rows)


def rates() -> str:
    """Table 2: the rates that the authors chose, which the laptop scale uses."""
    tasks = dict.fromkeys(place[:2] for place in RATES)
    runs = [
        (name, experiment.at("laptop").run(arm, 0)) for name, (experiment, arm) in TASKS.items()
    ]
    names = {
        (run.covariates, run.context): name for name, run in reversed(runs)
    }  # the first of a task
    rows = [[names[task], *(RATES[*task, rule] for rule in ("sgdm", "adam"))] for task in tasks]
    return _table(["", "SGDM", "Adam"], rows)


def searched(records: Records, scale: str = "laptop") -> str:
    """The rates that a search chose where the authors' are not known, a column a backend.

    Args:
        records: of any backends.
        scale: at which they were made.
    """
    backends = records.backends()
    rows = []
    for name, (experiment, arm) in SEARCHED.items():
        chosen = [_chosen(experiment, scale, arm, records.on(backend)) for backend in backends]
        if any(chosen):
            rows.append([name, *(one or "not searched" for one in chosen)])
    return _table(["", *backends], rows) if rows else "No search is in these records.\n"


def markdown(records: Records) -> str:
    """The three tables with their captions, as the site shows them.

    Args:
        records: where searched rates are read from.
    """
    base, large = (
        experiment.at("paper").run({"learning_rate": 0.0}, 0) for experiment in (BASE, LARGE)
    )
    return "\n".join(
        [
            f"**Table 1: settings.** Covariates have d = {base.dim} dimensions, the model has "
            f"{base.layers} layers where nothing else is said. Tasks w are N(0, I), labels have no "
            f"noise. The larger model of the paper's check has {large.layers} layers, d = "
            f"{large.dim} and n = {large.context}.\n",
            settings(),
            "**Table 2: learning rates, the authors' choices.** They searched ten values a "
            "line, four in Appendix B; the laptop scale uses these and does not search again.\n",
            rates(),
            "**Learning rates found by search.** The paper's values for other depths and for "
            "softmax attention are not known to us, so the laptop scale chooses the best of a "
            "grid, on seeds that are not judged. An asterisk marks an end of the grid.\n",
            searched(records),
        ]
    )


def _chosen(experiment: Experiment, scale: str, arm: Arm, records: Records) -> str:
    """The rate that `resolve` finds in the records; "" where the search was not made."""
    try:
        found = list(choices(experiment.at(scale), arm, records.find))
    except Unresolved:
        return ""
    except NoneFinite:
        return "none finite"
    return ", ".join(f"{one.value}{'*' if one.at_an_end else ''}" for one in found)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"
