"""From records to a verdict: computed anew each time, never stored as an input."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wdattn.reproduction.design.claim import (
    CONTRADICTED,
    INCONCLUSIVE,
    NOT_JUDGED,
    REPRODUCED,
    Claim,
    Condition,
    Every,
)
from wdattn.reproduction.design.effect import Effect
from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.references import (
    Choice,
    Find,
    Need,
    NoneFinite,
    Unresolved,
    choices,
    look_up,
    resolve,
)
from wdattn.reproduction.design.watch import SKIPPED
from wdattn.reproduction.judge.statistics import t_interval
from wdattn.reproduction.judge.wording import sentence


@dataclass(frozen=True)
class Part:
    """One condition, judged.

    Args:
        label: names it where a claim has several.
        unit: of effect, interval and ends.
        values: one a seed that was judged.
        effect: their mean, or None if one is not finite or there are fewer than two. Where each
            value is held to the ends (`criterion` is "every"): the one that lies farthest out, and
            `values` are the same of each seed.
        interval: 95 % Student t interval of the mean over seeds, or None.
        low: lower end of the criterion.
        high: upper end of the criterion.
        verdict: one of the four words.
        criterion: what is held to the ends: the "interval", or "every" effect on every seed.
        effects: how many effects are held to the ends.
        reaches: what the largest value must reach where `criterion` is "every", or None.
        reached: the largest value of all effects and seeds where `criterion` is "every", or None.
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
    effects: int = 1
    reaches: float | None = None
    reached: float | None = None


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

    Raises:
        ValueError: if a setting is chosen on one of the judged seeds.
    """
    conditions, shown = claim.parts(control), {} if control else claim.beside
    effects = [*claim.effects(control), *shown.values()]
    try:
        runs, chosen = _gather(claim, find, scale, seeds, effects)
    except Unresolved as missing:
        return Judgement(NOT_JUDGED, why=f"no record of {missing}")
    except NoneFinite as diverged:
        return Judgement(INCONCLUSIVE, why=str(diverged))
    kept = [seed for seed in seeds if _learnt(claim, runs[seed])]
    aside = tuple(seed for seed in seeds if seed not in kept)
    if 2 * len(aside) >= len(seeds):
        why = f"the precondition failed on seeds {', '.join(map(str, aside))} of {len(seeds)}"
        return Judgement(NOT_JUDGED, set_aside=aside, why=why, choices=chosen)
    values = iter([[effect.of(runs[s][i]) for s in kept] for i, effect in enumerate(effects)])
    parts = tuple(
        _part(condition, [next(values) for _ in condition.effects], claim.minimum_seeds)
        for condition in conditions
    )
    why = "; ".join(sentence(part, claim.minimum_seeds) for part in parts)
    if aside:
        why += f"; seeds set aside: {', '.join(map(str, aside))}"
    beside = tuple(_beside(label, effect, next(values)) for label, effect in shown.items())
    skipped = max(_skipped(record) for seed in kept for arms in runs[seed] for record in arms)
    verdict = _weakest([part.verdict for part in parts])
    return Judgement(verdict, parts, aside, why, chosen, beside, skipped)


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
    at_scale, chosen, needs = claim.experiment.at(scale), list[Choice](), list[Need]()
    for effect in effects:
        read = claim.read_by(effect)
        for seed in seeds:
            runs[seed].append([])
            for arm in effect.arms:
                try:
                    settings = resolve(at_scale, arm, seed, find)
                except Unresolved as missing:
                    needs += missing.needs
                    continue
                record = look_up(find, at_scale, settings, read)
                if record is None:
                    needs.append(Need(claim.experiment, settings, read))
                    continue
                runs[seed][-1].append(record)
        if needs:
            raise Unresolved(tuple(needs))
        for arm in effect.arms:
            chosen += [one for one in choices(at_scale, arm, find) if one not in chosen]
    return runs, tuple(chosen)


def _learnt(claim, parts):
    return claim.requires is None or all(claim.requires(r) for part in parts for r in part)


def _part(condition: Condition, values: list[list[float]], minimum: int) -> Part:
    """One condition, judged on the values of its effects: `(effects, seeds)`."""
    if isinstance(condition, Every):
        return _every(condition, np.asarray(values), minimum)
    (own,), unit = values, condition.effect.unit
    (effect, interval), verdict = _mean(own), INCONCLUSIVE
    if interval is not None and len(own) >= minimum:
        verdict = _compared(interval, condition.low, condition.high)
    ends = condition.low, condition.high
    return Part(condition.label, unit, tuple(own), effect, interval, *ends, verdict)


def _every(condition: Every, values: np.ndarray, minimum: int) -> Part:
    low, high = condition.low, condition.high
    verdict, farthest, reached = INCONCLUSIVE, None, None
    distance = np.maximum(low - values, values - high)  # outside where it is above 0
    of_each_seed = values[distance.argmax(axis=0), np.arange(values.shape[1])]
    if np.isfinite(values).all():
        farthest, reached = float(values.flat[distance.argmax()]), float(values.max())
        outside = distance > 0
        if values.shape[1] >= minimum and outside.all(axis=1).any():
            verdict = CONTRADICTED
        elif values.shape[1] >= minimum and not outside.any():
            short = condition.reaches is not None and reached < condition.reaches
            verdict = INCONCLUSIVE if short else REPRODUCED
    return Part(
        condition.label,
        condition.effects[0].unit,
        tuple(of_each_seed.tolist()),
        farthest,
        None,
        low,
        high,
        verdict,
        criterion="every",
        effects=len(values),
        reaches=condition.reaches,
        reached=reached,
    )


def _compared(interval, low, high):
    lower, upper = interval
    if low < lower and upper < high:
        return REPRODUCED
    return CONTRADICTED if upper < low or high < lower else INCONCLUSIVE


def _weakest(verdicts):
    for verdict in (NOT_JUDGED, CONTRADICTED, INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return REPRODUCED
