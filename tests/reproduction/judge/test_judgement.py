"""The verdict is computed from records alone: inside, outside, straddling, and what is missing."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from wdattn.reproduction import (
    AllOf,
    Beside,
    Best,
    Choice,
    Claim,
    Control,
    Effect,
    Every,
    Inside,
    difference,
    end,
    reads,
    single,
)
from wdattn.reproduction.judge.judgement import judge_runs

PLAIN, FANCY = {"kind": "plain"}, {"kind": "fancy"}
SEEDS = (0, 1, 2, 3, 4)
# Mean 0, and a 95 % interval that reaches 1 either way.
DRAWS = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) / 1.9632432


@reads("height")
def height(run):
    return run["height"].mean()


@reads("width")
def learnt(run):
    return run["width"][-1] > 0


EFFECT = difference(height, PLAIN, minus=FANCY)
CONTROL = Control(FANCY | {"stream": 1}, of=PLAIN)


def judged(experiment, finder, values, *, test=None, seeds=SEEDS, control=False, **changes):
    """Judges on made-up records; `values` is settings and column to cells."""
    find = finder(
        experiment, values, ("height", "width"), absent=changes.pop("absent", ()), scale="laptop"
    )
    test = test or Inside(EFFECT, low=0.5)
    claim = Claim("C1", experiment, "A sentence.", test, control=CONTROL, **changes)
    return judge_runs(claim, find, "laptop", seeds, control)


def around(mean):
    """Heights whose difference over seeds has the interval (mean - 1, mean + 1)."""
    return lambda run, column: (mean + DRAWS[run.seed]) * (run.kind == "plain")


def test_the_made_up_interval_is_what_it_says(experiment, finder):
    (part,) = judged(experiment, finder, around(3)).parts
    assert part.effect == pytest.approx(3)
    assert part.interval == pytest.approx((2, 4), abs=1e-6)
    assert part.values == pytest.approx(3 + DRAWS)


INF = math.inf


@pytest.mark.parametrize(
    ("mean", "low", "high", "verdict"),
    [
        (3, 1.9, INF, "reproduced"),
        (3, 2.1, INF, "inconclusive"),
        (3, 3.9, INF, "inconclusive"),
        (3, 4.1, INF, "contradicted"),
        (-3, -INF, -1.9, "reproduced"),
        (-3, -INF, -2.1, "inconclusive"),
        (-3, -INF, -4.1, "contradicted"),
        (3, 1.9, 4.1, "reproduced"),  # an equivalence
        (3, 1.9, 3.9, "inconclusive"),
        (3, 2.1, 4.1, "inconclusive"),
        (3, 2.5, 3.5, "inconclusive"),
        (3, 4.1, 9, "contradicted"),
        (3, 0.1, 1.9, "contradicted"),
        (0.2, 0.5, INF, "inconclusive"),  # a dead mechanism
    ],
)
def test_the_interval_lies_inside_outside_or_across(experiment, finder, mean, low, high, verdict):
    test = Inside(EFFECT, low=low, high=high)
    assert judged(experiment, finder, around(mean), test=test).verdict == verdict


def test_an_interval_that_touches_the_end_decides_nothing(experiment, finder):
    equal = judged(experiment, finder, lambda run, column: 0.5 * (run.kind == "plain"))
    assert equal.parts[0].interval == (0.5, 0.5)
    assert equal.verdict == "inconclusive"


GOOD, BAD, OPEN = (Inside(EFFECT, low=low) for low in (1, 5, 3))


@pytest.mark.parametrize(
    ("conditions", "verdict"),
    [
        ((GOOD, GOOD), "reproduced"),
        ((GOOD, OPEN), "inconclusive"),
        ((OPEN, BAD), "contradicted"),
        ((GOOD, BAD), "contradicted"),
        ((BAD, OPEN, GOOD), "contradicted"),
    ],
)
def test_all_of_is_as_weak_as_its_weakest_part(experiment, finder, conditions, verdict):
    found = judged(experiment, finder, around(3), test=AllOf(conditions))
    assert found.verdict == verdict
    assert len(found.parts) == len(conditions)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_an_effect_that_is_not_finite_is_inconclusive(experiment, finder, broken):
    def values(run, column):
        return broken if (run.seed, run.kind) == (2, "plain") else around(30)(run, column)

    found = judged(experiment, finder, values)
    assert found.verdict == "inconclusive"
    assert found.parts[0].effect is None and found.parts[0].interval is None
    assert len(found.parts[0].values) == 5
    assert "an effect is not finite" in found.why


def test_one_part_that_is_not_finite_is_enough(experiment, finder):
    broken = single(reads("width")(lambda run: math.nan), PLAIN)
    test = AllOf((GOOD, Inside(broken, low=1)))
    assert judged(experiment, finder, around(3), test=test).verdict == "inconclusive"


@pytest.mark.parametrize(("count", "verdict"), [(1, "inconclusive"), (2, "inconclusive")])
def test_too_few_seeds_are_inconclusive(experiment, finder, count, verdict):
    found = judged(experiment, finder, lambda run, column: run.kind == "plain", seeds=SEEDS[:count])
    assert found.verdict == verdict
    assert re.search("3 seeds are needed|at least 2", found.why)


def test_a_claim_may_ask_for_more_seeds(experiment, finder):
    assert judged(experiment, finder, around(30), minimum_seeds=5).verdict == "reproduced"
    found = judged(experiment, finder, around(30), minimum_seeds=6)
    assert found.verdict == "inconclusive"
    assert found.parts[0].effect == pytest.approx(30)
    assert "6 seeds are needed for a verdict" in found.why


def unlearnt(*places):
    """As `around(30)`, but these (seed, kind) did not learn."""

    def values(run, column):
        if column == "width":
            return (run.seed, run.kind) not in places
        return around(30)(run, column)

    return values


def test_seeds_whose_precondition_fails_are_set_aside(experiment, finder):
    found = judged(experiment, finder, unlearnt((1, "fancy"), (4, "plain")), requires=learnt)
    assert found.verdict == "reproduced"
    assert found.set_aside == (1, 4)
    assert found.parts[0].values == pytest.approx(30 + DRAWS[[0, 2, 3]])
    assert "seeds set aside: 1, 4" in found.why


@pytest.mark.parametrize(
    ("seeds", "failed"), [(SEEDS, (0, 1, 2)), (SEEDS[:4], (0, 1)), (SEEDS, SEEDS)]
)
def test_half_of_the_seeds_set_aside_is_not_judged(experiment, finder, seeds, failed):
    values = unlearnt(*((seed, "plain") for seed in failed))
    found = judged(experiment, finder, values, requires=learnt, seeds=seeds)
    assert found.verdict == "not judged"
    assert found.set_aside == failed
    assert f"the precondition failed on seeds {', '.join(map(str, failed))}" in found.why
    assert found.parts == ()


def test_set_aside_seeds_count_against_the_minimum(experiment, finder):
    values = unlearnt((0, "plain"), (1, "plain"))
    found = judged(experiment, finder, values, requires=learnt, minimum_seeds=4)
    assert found.verdict == "inconclusive"


def test_a_missing_record_is_not_judged(experiment, finder):
    absent = [experiment.at("laptop").run(FANCY, 3)]
    found = judged(experiment, finder, around(3), absent=absent)
    assert found.verdict == "not judged"
    assert re.fullmatch(r"no record of base: seed 3, .*, kind fancy", found.why)


def test_a_missing_column_is_not_judged(experiment, finder):
    find = finder(experiment, around(3), ("width",))
    claim = Claim("C1", experiment, "A sentence.", Inside(EFFECT, low=0.5), control=CONTROL)
    assert judge_runs(claim, find, "laptop", SEEDS).verdict == "not judged"


def test_a_look_at_other_iterates_is_not_judged(experiment, finder):
    # Records from before the experiment's watch was moved.
    def find(run):
        record = finder(experiment, around(3))(run)
        record.columns["height"] = np.array([4, 9]), record["height"]
        return record

    claim = Claim("C1", experiment, "A sentence.", Inside(EFFECT, low=0.5), control=CONTROL)
    assert judge_runs(claim, find, "laptop", SEEDS).verdict == "not judged"


def test_other_iterates_of_a_shared_run_are_not_read(experiment, finder):
    # The run was looked at for another experiment too.
    def find(run):
        record = finder(experiment, around(3))(run)
        steps, values = record.columns["height"]
        record.columns["height"] = np.append(steps, 15), np.append(values, 1e6)
        return record

    claim = Claim("C1", experiment, "A sentence.", Inside(EFFECT, low=0.5), control=CONTROL)
    assert judge_runs(claim, find, "laptop", SEEDS).parts[0].effect == pytest.approx(3)


def test_the_control_is_judged_on_its_own_arms(experiment, finder):
    found = judged(experiment, finder, around(3), control=True)
    assert found.parts[0].effect == 0
    assert found.verdict == "contradicted"


def test_pairs_are_of_equal_seeds(experiment, finder):
    # A large effect of the seed cancels.
    def values(run, column):
        return 1000 * run.seed + around(3)(run, column)

    assert judged(experiment, finder, values).parts[0].interval == pytest.approx((2, 4))


def test_the_sentence_has_the_numbers(experiment, finder):
    why = judged(
        experiment, finder, around(math.log(100)), test=Inside(EFFECT, low=math.log(2))
    ).why
    assert re.fullmatch(
        r"effect 4\.61 \[3\.61, 5\.61\] = ×100 \[36\.8, 272\] over 5 seeds; counts above ×2", why
    )
    other = difference(height, PLAIN, minus=FANCY, unit="loss")
    for ends, words in (
        ({"low": 0.5}, "counts above 0.5"),
        ({"high": 0.5}, "counts below 0.5"),
        ({"low": -0.5, "high": 0.5}, "counts between -0.5 and 0.5"),
    ):
        why = judged(experiment, finder, around(3), test=Inside(other, label="b", **ends)).why
        assert why == f"b: effect 3 [2, 4] over 5 seeds; {words}"


def test_a_huge_log_ratio_can_be_written(experiment, finder):
    assert judged(experiment, finder, around(1e6)).verdict == "reproduced"


def test_a_searched_setting_is_told(experiment, finder):
    best = Best((0.1, 0.2, 0.4), by=height, seeds=(90,))

    def values(run, column):
        return run.learning_rate if run.seed == 90 else around(3)(run, column)

    effect = difference(height, PLAIN | {"learning_rate": best}, minus=FANCY)
    found = judged(experiment, finder, values, test=Inside(effect, low=0.5))
    assert found.verdict == "reproduced"
    (chosen,) = found.choices  # once, though five seeds take it
    assert chosen == Choice("learning_rate", 0.1, (0.1, 0.2, 0.4), {"kind": "plain"})
    assert chosen.at_an_end


def test_a_grid_without_a_finite_score_is_inconclusive(experiment, finder):
    best = Best((0.1, 0.2), by=height, seeds=(90,))

    def values(run, column):
        return math.nan if run.seed == 90 else around(3)(run, column)

    effect = difference(height, PLAIN | {"learning_rate": best}, minus=FANCY)
    found = judged(experiment, finder, values, test=Inside(effect, low=0.5))
    assert found.verdict == "inconclusive"
    assert found.why == "no learning_rate of (0.1, 0.2) gave a finite score in 'base'"


def test_what_stands_beside_is_told_and_not_judged(experiment, finder):
    beside = {"fancy alone": single(height, FANCY), "too few": single(learnt, FANCY)}
    found = judged(experiment, finder, around(3), test=Inside(EFFECT, low=1.9), beside=beside)
    assert found.verdict == "reproduced" and len(found.parts) == 1
    alone, few = found.beside
    assert alone == Beside("fancy alone", "log ratio", (0.0,) * 5, 0.0, (0.0, 0.0))
    assert few.label == "too few" and len(few.values) == 5
    control = judged(experiment, finder, around(3), beside=beside, control=True)
    assert control.beside == ()


def test_a_column_beside_must_have_been_measured(experiment, finder):
    claim = Claim(
        "C1",
        experiment,
        "A sentence.",
        Inside(EFFECT, low=0.5),
        control=CONTROL,
        beside={"width": single(learnt, FANCY)},
    )
    assert (FANCY, "width") in claim.reading()
    assert (FANCY, "width") not in claim.reading(control=True)
    found = judge_runs(claim, finder(experiment, around(3)), "laptop", SEEDS)
    assert found.verdict == "not judged"


def test_skipped_steps_are_told(experiment, finder):
    counted = reads("height", "skipped")(lambda run: run["height"].mean())
    watched = replace(experiment, watch={**experiment.watch, "skipped": end})
    claim = Claim(
        "C1",
        watched,
        "A sentence.",
        Inside(difference(counted, PLAIN, minus=FANCY), low=0.5),
        control=CONTROL,
    )

    def values(skips):
        def cell(run, column):
            if column == "skipped":
                return skips if run.seed == 3 and run.kind == "plain" else 0
            return around(3)(run, column)

        return finder(watched, cell, ("height", "skipped"))

    assert judge_runs(claim, values(0), "laptop", SEEDS).skipped == 0
    assert judge_runs(claim, values(2), "laptop", SEEDS).skipped == 0.1


# Each value between the ends: no mean, no interval

CELLS = tuple(Effect(height, (PLAIN | {"depth": n},), lambda v: v, "ratio") for n in (1, 2, 3))


def every_judged(experiment, finder, values, minimum=3, **ends):
    """Judged on `values[depth - 1][seed]`."""
    claim = Claim("C1", experiment, "A sentence.", Every(CELLS, **ends), control=CONTROL,
                  minimum_seeds=minimum)  # fmt: skip

    def cell(run, column):
        return values[run.depth - 1][run.seed]

    return judge_runs(claim, finder(experiment, cell), "laptop", range(len(values[0])))


@pytest.mark.parametrize(
    ("values", "ends", "verdict"),
    [
        (((0.5, 0.9, 1.0), (0, 0, 0), (0.1, 0.2, 0.3)), {"high": 1}, "reproduced"),
        # One seed of one effect is outside, then every seed of one.
        (((0.5, 0.9, 1.01), (0, 0, 0), (0.1, 0.2, 0.3)), {"high": 1}, "inconclusive"),
        (((1.5, 1.9, 1.01), (0, 0, 0), (0.1, 0.2, 0.3)), {"high": 1}, "contradicted"),
        # Each seed is outside somewhere, but no effect on every seed.
        (((2, 0, 0), (0, 2, 0), (0, 0, 2)), {"high": 1}, "inconclusive"),
        (((0, 0, 0), (0, 0, 0), (0, 0, 0)), {"low": 0, "high": 0}, "reproduced"),
        (((0, 0, 0), (-1, -1, -1), (0, 0, 0)), {"low": 0, "high": 0}, "contradicted"),
        (((0, 0, 0), (math.nan, 0, 0), (2, 2, 2)), {"high": 1}, "inconclusive"),
        (((0, 0), (0, 0), (0, 0)), {"high": 1}, "inconclusive"),  # two seeds
        (((0.2, 0.3, 0.2), (0, 0, 0), (0, 0, 0)), {"high": 1, "reaches": 0.5}, "inconclusive"),
        (((0.2, 0.5, 0.2), (0, 0, 0), (0, 0, 0)), {"high": 1, "reaches": 0.5}, "reproduced"),
        (((2, 2, 2), (0, 0, 0), (0, 0, 0)), {"high": 1, "reaches": 0.5}, "contradicted"),
    ],
)
def test_every_value_between_the_ends(experiment, finder, values, ends, verdict):
    assert every_judged(experiment, finder, values, **ends).verdict == verdict


def test_every_tells_the_value_that_lies_farthest_out(experiment, finder):
    values = ((0.5, 0.9, 1.2), (0.6, 0, 0), (0.1, 0.2, 0.3))
    found = every_judged(experiment, finder, values, low=0.05, high=1, reaches=0.5)
    (part,) = found.parts
    assert (part.criterion, part.effects, part.reached) == ("every", 3, 1.2)
    assert part.effect == 1.2 and part.values == (0.1, 0, 1.2) and part.interval is None
    assert found.why == (
        "farthest out 1.2 of 3 effects on each of 3 seeds; counts between 0.05 and 1; the largest "
        "is 1.2 and must reach 0.5"
    )
    assert "Student" not in found.why and "interval" not in found.why


def test_all_of_an_interval_and_of_every_value(experiment, finder):
    both = AllOf((Inside(EFFECT, low=0.5), Every(CELLS[:1], high=1.5)))
    claim = Claim("C1", experiment, "A sentence.", both, control=CONTROL)

    def cell(bound):
        return lambda run, column: bound if run.depth == 1 else around(3)(run, column)

    for bound, verdict in ((1, "reproduced"), (2, "contradicted")):
        found = judge_runs(claim, finder(experiment, cell(bound)), "laptop", SEEDS)
        assert found.verdict == verdict
        assert [part.criterion for part in found.parts] == ["interval", "every"]


def test_a_judged_seed_on_which_a_setting_is_chosen_raises(experiment, finder):
    best = Best((0.1, 0.2, 0.4), by=height, seeds=(90,))
    effect = difference(height, PLAIN | {"learning_rate": best}, minus=FANCY)
    claim = Claim("C1", experiment, "A.", Inside(effect, low=0.5), control=CONTROL)
    with pytest.raises(ValueError, match="not be one that learning_rate is chosen on, got 90"):
        judge_runs(claim, finder(experiment, lambda run, column: 1), "laptop", (88, 90))


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(1.0, "inconclusive"), (1.0 + 1e-9, "reproduced"), (1.0 - 1e-9, "contradicted")],
)
def test_an_interval_that_ends_at_the_end_is_neither_inside_nor_outside(
    experiment, finder, value, verdict
):
    effect = single(height, PLAIN)
    for ends in ({"low": 1.0}, {"high": 1.0}):
        found = judged(experiment, finder, lambda run, _: value, test=Inside(effect, **ends))
        other = {"reproduced": "contradicted", "contradicted": "reproduced"}
        assert found.verdict == (verdict if "low" in ends else other.get(verdict, verdict))
