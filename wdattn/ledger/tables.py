"""A paper's tables of settings as Markdown: from its settings alone, and from stored records."""

from collections.abc import Iterable, Sequence

from wdattn.reproduction.design.experiment import Arm, AtScale
from wdattn.reproduction.design.paper import Paper, Table
from wdattn.reproduction.design.references import NoneFinite, Unresolved, choices
from wdattn.reproduction.judge.records import Records


def tables(paper: Paper, records: Records, scale: str = "laptop") -> str:
    """The tables of a paper, then the settings that a search chose, as the site shows them.

    Args:
        paper: whose tables they are.
        records: of any backends; where searched settings are read from.
        scale: whose settings are set beside the paper's.
    """
    shown = [f"**{one.title}** {one.caption}\n\n{_settings(one, scale)}" for one in paper.tables]
    if found := _searched(paper, records, scale):
        shown.append(
            "**Found by search.** The best of a grid, chosen on seeds that are not judged. An "
            f"asterisk marks an end of the grid.\n\n{found}"
        )
    return "\n".join(shown)


def _settings(table: Table, scale: str) -> str:
    """A row an arm: its settings in the paper and at `scale`, where they differ."""
    rows = []
    for label, (experiment, arm) in table.rows.items():
        ours = experiment.at(scale).run(arm, 0)
        papers = experiment.settings(**{**experiment.overrides, **arm}).filled()
        pairs = [(getattr(papers, name), getattr(ours, name)) for name in table.settings]
        seeds = [len(experiment.at(name).seeds) for name in ("paper", scale)]
        rows.append([label, *(_pair(*pair) for pair in (*pairs, seeds))])
    names = [name.replace("_", " ") for name in table.settings]
    told = f"Where two are given: the paper's, then those of scale {scale}.\n"
    return f"{_table(['', *names, 'seeds'], rows)}\n{told}"


def _pair(papers: object, ours: object) -> str:
    return f"{ours}" if papers == ours else f"{papers} / {ours}"


def _searched(paper: Paper, records: Records, scale: str) -> str:
    """A row an arm for which something is searched, a column a backend; "" where nothing is."""
    backends = records.backends()
    rows: dict[tuple[str, ...], None] = {}
    for at_scale, arm in _arms(paper, scale):
        chosen = [_chosen(at_scale, arm, records.on(backend)) for backend in backends]
        if any(chosen):
            told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in arm.items()
                             if not hasattr(value, "grid"))  # fmt: skip
            cells = (one or "not searched" for one in chosen)
            rows[at_scale.experiment.name, told, *cells] = None
    return _table(["experiment", "runs", *backends], rows) if rows else ""


def _arms(paper: Paper, scale: str) -> Iterable[tuple[AtScale, Arm]]:
    """What the claims of the paper read at that scale, with and without the mechanism."""
    for claim in paper.claims:
        if scale in claim.experiment.scales:
            for effect in (*claim.effects(), *claim.effects(control=True)):
                yield from ((claim.experiment.at(scale), arm) for arm in effect.arms)


def _chosen(at_scale: AtScale, arm: Arm, records: Records) -> str:
    """What the search chose; "" where nothing is searched or the runs were not made."""
    try:
        found = list(choices(at_scale, arm, records.find))
    except Unresolved:
        return ""
    except NoneFinite:
        return "none finite"
    return ", ".join(f"{one.value}{'*' if one.at_an_end else ''}" for one in found)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"
