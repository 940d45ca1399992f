"""What differs at a scale from the paper, said from the settings themselves."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wdattn.reproduction.design.experiment import AtScale

SMOKE = "shows that everything runs, decides nothing"


def deviations(at_scale: "AtScale") -> str:
    """What differs from the paper at a scale, in words.

    The paper's own values are those of the experiment: the scales override them. Seeds are
    compared with those of the scale "paper". The scale's note adds what no setting says.

    Args:
        at_scale: an experiment at a scale.
    """
    experiment, name = at_scale.experiment, at_scale.name
    papers_own = experiment.settings(**experiment.overrides)
    lines = [
        _setting(key, value, getattr(papers_own, key))
        for key, value in at_scale.scale.overrides.items()
        if value != getattr(papers_own, key)
    ]
    count, papers = len(at_scale.seeds), experiment.scales.get("paper", at_scale.scale)
    if count != len(papers.seed_list()):
        lines.append(f"{_counted(count, 'seed')} instead of {len(papers.seed_list())}")
    lines.append(experiment.notes.get(name, SMOKE if name == "smoke" else ""))
    return "; ".join(filter(None, lines)) or "none"


def _setting(name: str, value: Any, papers: Any) -> str:
    words = name.replace("_", " ")
    if hasattr(value, "grid"):
        count = "a grid" if callable(value.grid) else _counted(len(value.grid), "value")
        seeds = _counted(len(value.seeds), "seed")
        return f"{words}: the best of {count}, chosen on {seeds} that are not judged"
    if hasattr(value, "experiment"):
        return f"{words}: taken from runs of experiment {value.experiment.name!r}"
    instead = "" if papers is None else f" instead of {_number(papers)}"
    return f"{words} {_number(value)}{instead}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _number(value: Any) -> str:
    """As it is; the thousands of a large int set apart."""
    return f"{value:_}".replace("_", " ") if type(value) is int and value >= 10_000 else f"{value}"
