"""Claims: one testable sentence each, with a criterion that can say no and a control."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from wdattn.arguments import integer
from wdattn.reproduction.design.effect import Effect
from wdattn.reproduction.design.experiment import Arm, AtScale, Experiment
from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.reductions import columns_of
from wdattn.reproduction.design.references import Best, Follow, From

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

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What is held to the ends: one effect."""
        return (self.effect,)

    def parts(self) -> "tuple[Inside, ...]":
        """Itself."""
        return (self,)

    def changed(self, change: Callable[[Arm], Arm]) -> "Inside":
        """The same condition on other arms."""
        return replace(self, effect=self.effect.changed(change))


@dataclass(frozen=True)
class Every:
    """Each effect lies in [low, high] on each seed: for closed forms and for bounds.

    *reproduced* if all do, *contradicted* if some effect is outside on every seed, else
    *inconclusive*. No mean is taken, so there is no interval; 0 is allowed as an end.

    Args:
        effects: at least one; of one unit.
        low: lower end, or -inf.
        high: upper end, or inf.
        reaches: float or None. The largest value, of all effects and seeds, must be at least this:
            it guards against a bound that holds because it says nothing.
        label: names the part where a claim has several.
    """

    effects: tuple[Effect, ...]
    low: float = -math.inf
    high: float = math.inf
    reaches: float | None = None
    label: str = ""

    def __post_init__(self):
        if not self.low <= self.high or (math.isinf(self.low) and math.isinf(self.high)):
            raise ValueError(
                f"`low` <= `high` with one of them finite, got {self.low}, {self.high}"
            )
        if not self.effects or len({effect.unit for effect in self.effects}) > 1:
            raise ValueError("`effects` must be one or more effects of one unit")
        if self.reaches is not None and not self.low <= self.reaches <= self.high:
            raise ValueError(
                f"`reaches` must lie in [{self.low}, {self.high}] or be None, got {self.reaches}"
            )

    def parts(self) -> "tuple[Every, ...]":
        """Itself."""
        return (self,)

    def changed(self, change: Callable[[Arm], Arm]) -> "Every":
        """The same condition on other arms."""
        return replace(self, effects=tuple(effect.changed(change) for effect in self.effects))


Condition = Inside | Every


@dataclass(frozen=True)
class AllOf:
    """As weak as its weakest part.

    Args:
        conditions: at least one.
    """

    conditions: tuple[Condition, ...]

    def __post_init__(self):
        if not self.conditions:
            raise ValueError("`conditions` must hold at least one condition")

    def parts(self) -> tuple[Condition, ...]:
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
    test: Condition | AllOf
    control: Control
    requires: Callable[[Record], bool] | None = None
    source: str = ""
    expects: str = ""
    threshold_source: str = ""
    minimum_seeds: int = 3
    beside: Mapping[str, Effect] = field(default_factory=dict)
    remark: str = ""

    def __post_init__(self):
        if not re.fullmatch(r"C[1-9]\d*", self.id):
            raise ValueError(f"`id` must be C and a number, like C6, got {self.id!r}")
        for arm in (*self.arms(), *(arm for one in self.beside.values() for arm in one.arms)):
            self.experiment.check_arm(arm)
            self.experiment.check_arm(self.control(arm))
        for scale in self.experiment.scales:
            # Runs and not arms: a control may also spell out what an arm has anyway.
            at_scale = self.experiment.at(scale)
            for arm in self.arms():
                self._check_references(at_scale, arm)
            before = [at_scale.run(arm, 0) for arm in self.arms()]
            after = [at_scale.run(self.control(arm), 0) for arm in self.arms()]
            if before == after:
                raise ValueError(f"the control of {self.id} changes no arm at scale {scale!r}: "
                                 f"{self.control}")  # fmt: skip
        self.experiment.check_columns(self.columns())
        integer("minimum_seeds", self.minimum_seeds, least=2)

    def _check_references(self, at_scale: AtScale, arm: Arm) -> None:
        for name, value in at_scale.overrides(arm).items():
            if isinstance(value, From | Follow):
                value.experiment.at(at_scale.name)
            elif isinstance(value, Best) and set(value.seeds) & set(at_scale.seeds):
                raise ValueError(
                    f"`seeds` of the search for {name} must not be judged, got {value.seeds}, and "
                    f"{self.id} at scale {at_scale.name!r} judges {at_scale.seeds}"
                )

    @property
    def number(self) -> int:
        """The number in its id: claims are listed in that order."""
        return int(self.id.lstrip("C"))

    def parts(self, control: bool = False) -> tuple[Condition, ...]:
        """The conditions, one or several; with `control`, on the arms without the mechanism."""
        parts = self.test.parts()
        return tuple(part.changed(self.control) for part in parts) if control else parts

    def effects(self, control: bool = False) -> tuple[Effect, ...]:
        """The effects of all conditions, part by part."""
        return tuple(effect for part in self.parts(control) for effect in part.effects)

    def arms(self) -> tuple[Arm, ...]:
        """Every arm it reads, part by part."""
        return tuple(arm for effect in self.effects() for arm in effect.arms)

    def columns(self) -> tuple[str, ...]:
        """Every column it reads."""
        return tuple(dict.fromkeys(column for _, column in self.reading()))

    def reading(self, control: bool = False) -> Iterator[tuple[Arm, str]]:
        """Pairs of arm and column that must have been measured."""
        for effect in (*self.effects(control), *(() if control else self.beside.values())):
            for arm in effect.arms:
                for column in self.read_by(effect):
                    yield arm, column

    def read_by(self, effect: Effect) -> tuple[str, ...]:
        """The columns that one effect, and the precondition, read of each of its arms."""
        asked = columns_of(self.requires) if self.requires else ()
        return (*columns_of(effect.reduction), *asked)
