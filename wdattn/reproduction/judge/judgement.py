"""From records to a verdict: computed anew each time, never stored as an input."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wdattn.reproduction.design.claim import (
    CONTRADICTED,
    INCONCLUSIVE,
    NOT_JUDGED,
    REPRODUCED,
    Claim,
    Inside,
)
from wdattn.reproduction.design.effect import Effect, Record
from wdattn.reproduction.design.references import (
    Choice,
    Find,
    NoneFinite,
    Unresolved,
    look_up,
    resolve,
)
from wdattn.reproduction.judge.statistics import t_interval
from wdattn.reproduction.run.cells import SKIPPED


@dataclass(frozen=True)
class Part:
    """One condition, judged.

    Args:
        label: names it where a claim has several.
        unit: of effect, interval and ends.
        values: one a seed that was judged.
        effect: their mean, or None if one is not finite or there are fewer than two. Where each
            cell is held to the ends (`criterion` is "every"): the value that lies farthest out, and
            `values` are the same of each seed.
        interval: 95 % Student t interval of the mean over seeds, or None.
        low: lower end of the criterion.
        high: upper end of the criterion.
        verdict: one of the four words.
        criterion: what is held to the ends: the "interval", or "every" cell of every seed.
    """

    label: str
    unit: str
    values: tuple[float, ...]
    effect: float | None
    interval: tuple[float, float] | None
    low: float
    high: float
    verdict: str
    criterion: str = "interval"


@dataclass(frozen=True)
class Beside:
    """An effect that a claim reports without judging it.

    Args:
        label: what it is.
        unit: of its numbers.
        values: one a seed.
        effect: their mean, or None if one is not finite or there are fewer than two.
        interval: 95 % Student t interval of the mean over seeds, or None.
    """

    label: str
    unit: str
    values: tuple[float, ...]
    effect: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Judgement:
    """A claim, or its control, judged on some seeds.

    Args:
        verdict: *reproduced*, *contradicted*, *inconclusive* or *not judged*.
        parts: each condition.
        set_aside: seeds with an arm in which the precondition did not hold.
        why: one sentence with the numbers.
        choices: what searches chose.
        beside: effects that the claim reports without judging them.
        skipped: the largest share, of any run, of steps that were skipped as their gradient is not
            finite.
    """

    verdict: str
    parts: tuple[Part, ...] = ()
    set_aside: tuple[int, ...] = ()
    why: str = ""
    choices: tuple[Choice, ...] = ()
    beside: tuple[Beside, ...] = ()
    skipped: float = 0.0


def judge_runs(
    claim: Claim, find: Find, scale: str, seeds: Sequence[int], control: bool = False
) -> Judgement:
    """Judges a claim on the records that `find` gives for its runs.

    Args:
        claim: what is asked.
        find: settings to record, None where there is none.
        scale: at which the runs were made.
        seeds: the judged seeds.
        control: judge the arms without the mechanism instead.

    Returns:
        The judgement; *not judged* with the reason where data is missing.
    """
    conditions = claim.parts(control)
    effects = [condition.effect for condition in conditions]
    shown = {} if control else claim.beside
    try:
        runs, choices = _gather(claim, find, scale, seeds, [*effects, *shown.values()])
    except Unresolved as missing:
        return Judgement(NOT_JUDGED, why=f"no record of {missing}")
    except NoneFinite as diverged:
        return Judgement(INCONCLUSIVE, why=str(diverged))
    kept = [seed for seed in seeds if _learnt(claim, runs[seed])]
    aside = tuple(seed for seed in seeds if seed not in kept)
    if 2 * len(aside) >= len(seeds):
        why = f"the precondition failed on seeds {', '.join(map(str, aside))} of {len(seeds)}"
        return Judgement(NOT_JUDGED, set_aside=aside, why=why, choices=choices)
    values = [[effect.of(runs[seed][i]) for seed in kept] for i, effect in enumerate(effects)]
    parts = tuple(
        _part(condition, own, claim.minimum_seeds)
        for condition, own in zip(conditions, values, strict=True)
    )
    verdict = _weakest([part.verdict for part in parts])
    why = "; ".join(_sentence(part, claim.minimum_seeds) for part in parts)
    if aside:
        why += f"; seeds set aside: {', '.join(map(str, aside))}"
    beside = tuple(
        _beside(label, effect, [effect.of(runs[seed][len(effects) + i]) for seed in kept])
        for i, (label, effect) in enumerate(shown.items())
    )
    skipped = max(_skipped(record) for seed in kept for arms in runs[seed] for record in arms)
    return Judgement(verdict, parts, aside, why, choices, beside, skipped)


def _skipped(record: Record) -> float:
    """The share of the run's steps that were skipped, as far as somebody reads it."""
    if SKIPPED not in record.columns or not record.settings.steps:
        return 0.0
    return float(record[SKIPPED][-1]) / record.settings.steps


def _beside(label: str, effect: Effect, values: list[float]) -> Beside:
    return Beside(label, effect.unit, tuple(values), *_mean(values))


def _mean(values: Sequence[float]) -> tuple[float, tuple[float, float]] | tuple[None, None]:
    """Mean and interval of values that are at least two, and all finite."""
    if len(values) < 2 or not np.isfinite(values).all():
        return None, None
    return float(np.mean(values)), t_interval(values)


def _gather(claim, find, scale, seeds, effects):
    """Records by seed, then effect, then arm; and the choices made by references."""
    runs: dict[int, list[list[Record]]] = {seed: [] for seed in seeds}
    choices: list[Choice] = []
    for effect in effects:
        read, arms = claim.read_by(effect), []
        for arm in effect.arms:
            resolved, chosen = resolve(claim.experiment, scale, arm, find)
            arms.append(resolved)
            choices += [one for one in chosen if one not in choices]
        for seed in seeds:
            found = []
            for arm in arms:
                settings = claim.experiment.run(scale, arm, seed)
                record = look_up(find, claim.experiment, scale, settings, read)
                if record is None:
                    raise Unresolved(f"{claim.experiment.name}: {dict(arm)}, seed {seed}")
                found.append(record)
            runs[seed].append(found)
    return runs, tuple(choices)


def _learnt(claim, parts):
    return claim.requires is None or all(claim.requires(r) for part in parts for r in part)


def _part(condition: Inside, values: list[float], minimum: int) -> Part:
    (effect, interval), verdict = _mean(values), INCONCLUSIVE
    if interval is not None and len(values) >= minimum:
        verdict = _place(interval, condition.low, condition.high)
    return Part(
        condition.label,
        condition.effect.unit,
        tuple(values),
        effect,
        interval,
        condition.low,
        condition.high,
        verdict,
    )


def _place(interval, low, high):
    lower, upper = interval
    if low < lower and upper < high:
        return REPRODUCED
    return CONTRADICTED if upper < low or high < lower else INCONCLUSIVE


def _weakest(verdicts):
    for verdict in (NOT_JUDGED, CONTRADICTED, INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return REPRODUCED


def _sentence(part: Part, minimum: int) -> str:
    name = f"{part.label}: " if part.label else ""
    if part.interval is None:
        if len(part.values) < 2:
            return f"{name}{len(part.values)} seed judged, an interval needs at least 2"
        return f"{name}an effect is not finite: {[round(value, 3) for value in part.values]}"
    text = f"{name}effect {_measured(part.unit, part.effect, part.interval)}"
    text += f" over {len(part.values)} seeds; {_criterion(part)}"
    if len(part.values) < minimum:
        text += f"; {minimum} seeds are needed for a verdict"
    return text


def _measured(unit, effect, interval):
    lower, upper = interval
    text = f"{effect:.3g} [{lower:.3g}, {upper:.3g}]"
    if unit == "log ratio":
        text += f" = ×{_factor(effect)} [{_factor(lower)}, {_factor(upper)}]"
    return text


def _criterion(part):
    shown = _factor if part.unit == "log ratio" else "{:.3g}".format
    sign = "×" if part.unit == "log ratio" else ""
    if math.isinf(part.high):
        return f"counts above {sign}{shown(part.low)}"
    if math.isinf(part.low):
        return f"counts below {sign}{shown(part.high)}"
    return f"counts between {sign}{shown(part.low)} and {sign}{shown(part.high)}"


def _factor(value):
    return f"{math.exp(min(value, 700)):.3g}"
