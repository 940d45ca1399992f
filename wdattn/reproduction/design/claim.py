"""Claims: one testable sentence each, with a criterion that can say no and a control."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from wdattn.reproduction.design.effect import Effect, Record, columns_of
from wdattn.reproduction.design.experiment import Arm, Experiment

REPRODUCED, CONTRADICTED = "reproduced", "contradicted"
INCONCLUSIVE, NOT_JUDGED = "inconclusive", "not judged"
VERDICTS = (REPRODUCED, CONTRADICTED, INCONCLUSIVE, NOT_JUDGED)


@dataclass(frozen=True)
class Inside:
    """The 95 % Student t interval of the effect over seeds lies in (low, high).

    *reproduced* inside, *contradicted* wholly outside, else *inconclusive*. One end is the smallest
    effect that counts (never 0: against 0 a dead mechanism can only be inconclusive); both ends
    state an equivalence.

    Args:
        effect: one number a seed.
        low: lower end, or -inf.
        high: upper end, or inf.
        label: names the part where a claim has several.
    """

    effect: Effect
    low: float = -math.inf
    high: float = math.inf
    label: str = ""

    def __post_init__(self):
        if not self.low < self.high or (math.isinf(self.low) and math.isinf(self.high)):
            raise ValueError(f"`low` < `high` with one of them finite, got {self.low}, {self.high}")
        if 0 in (self.low, self.high):
            raise ValueError("`low` or `high` is the smallest effect that counts, so not 0")

    def parts(self) -> "tuple[Inside, ...]":
        """Itself."""
        return (self,)


@dataclass(frozen=True)
class AllOf:
    """As weak as its weakest part.

    Args:
        conditions: at least one.
    """

    conditions: tuple[Inside, ...]

    def __post_init__(self):
        if not self.conditions:
            raise ValueError("`conditions` must hold at least one condition")

    def parts(self) -> tuple[Inside, ...]:
        """Its conditions."""
        return self.conditions


@dataclass(frozen=True)
class Control:
    """Each arm that has `of` gets `put`; then the same judge.

    Args:
        put: settings that remove the mechanism.
        of: settings an arm must have to be changed, or several such sets of which it must have one;
            by default every arm is changed.
    """

    put: Arm
    of: Arm | tuple[Arm, ...] = field(default_factory=dict)

    def __call__(self, arm: Arm) -> Arm:
        sets = self.of if isinstance(self.of, tuple) else (self.of,)
        return {**arm, **self.put} if any(of.items() <= arm.items() for of in sets) else arm


@dataclass(frozen=True)
class Claim:
    """One testable sentence of a paper.

    Args:
        id: "C1", "C2", ...
        experiment: whose runs it reads.
        sentence: the claim, in a sentence.
        test: the criterion, fixed before the runs.
        control: removes the mechanism; the same judge must then not say *reproduced*.
        requires: asked of each record; a seed with an arm that fails is set aside.
        source: figure, table or section of the paper; by default the experiment's.
        expects: what the paper found, in words; by default the experiment's.
        threshold_source: where the smallest effect that counts comes from.
        minimum_seeds: with fewer the claim is inconclusive.
        beside: label to an effect that is reported with the verdict and does not enter it.
        remark: what a reader should know before trusting either verdict.
    """

    id: str
    experiment: Experiment
    sentence: str
    test: Inside | AllOf
    control: Control
    requires: Callable[[Record], bool] | None = None
    source: str = ""
    expects: str = ""
    threshold_source: str = ""
    minimum_seeds: int = 3
    beside: Mapping[str, Effect] = field(default_factory=dict)
    remark: str = ""

    def __post_init__(self):
        for arm in (*self.arms(), *(arm for effect in self.beside.values() for arm in effect.arms)):
            self.experiment.check_arm(arm)
            self.experiment.check_arm(self.control(arm))
        for scale in self.experiment.scales:
            # Runs and not arms: a control may also spell out what an arm has anyway.
            before = [self.experiment.run(scale, arm, 0) for arm in self.arms()]
            after = [self.experiment.run(scale, self.control(arm), 0) for arm in self.arms()]
            if before == after:
                raise ValueError(f"the control of {self.id} changes no arm at scale {scale!r}: "
                                 f"{self.control}")  # fmt: skip
        unwatched = set(self.columns()) - set(self.experiment.watch)
        if unwatched:
            raise ValueError(
                f"{self.id} reads {sorted(unwatched)}, which experiment "
                f"{self.experiment.name!r} does not watch"
            )

    def parts(self, control: bool = False) -> tuple[Inside, ...]:
        """The conditions, one or several; with `control`, on the arms without the mechanism."""
        parts = self.test.parts()
        return tuple(self._removed(part) for part in parts) if control else parts

    def _removed(self, part: Inside) -> Inside:
        arms = tuple(self.control(arm) for arm in part.effect.arms)
        return replace(part, effect=replace(part.effect, arms=arms))

    def arms(self) -> tuple[Arm, ...]:
        """Every arm it reads, part by part."""
        return tuple(itertools.chain.from_iterable(p.effect.arms for p in self.parts()))

    def columns(self) -> tuple[str, ...]:
        """Every column it reads."""
        return tuple(dict.fromkeys(column for _, column in self.reading()))

    def reading(self, control: bool = False) -> Iterator[tuple[Arm, str]]:
        """Pairs of arm and column that must have been measured."""
        effects = [part.effect for part in self.parts(control)]
        for effect in effects if control else [*effects, *self.beside.values()]:
            for arm in effect.arms:
                for column in self.read_by(effect):
                    yield arm, column

    def read_by(self, effect: Effect) -> tuple[str, ...]:
        """The columns that one effect, and the precondition, read of each of its arms."""
        asked = columns_of(self.requires) if self.requires else ()
        return (*columns_of(effect.reduction), *asked)
