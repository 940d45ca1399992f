"""A claim that cannot say no, or whose control removes nothing, is refused when it is written."""

import math
from dataclasses import replace

import pytest

from wdattn.reproduction import (
    AllOf,
    Best,
    Claim,
    Control,
    Every,
    Inside,
    difference,
    reads,
    single,
)
from wdattn.reproduction.design.claim import REPRODUCED, VERDICTS

PLAIN, FANCY = {"kind": "plain"}, {"kind": "fancy"}


@reads("height")
def height(run):
    return run["height"].mean()


@reads("width")
def wide(run):
    return run["width"][-1] > 0


EFFECT = difference(height, PLAIN, minus=FANCY)


def claim(experiment, **changes):
    arguments = {
        "id": "C1",
        "experiment": experiment,
        "sentence": "Plain is higher than fancy.",
        "test": Inside(EFFECT, low=0.5),
        "control": Control(FANCY | {"stream": 1}, of=PLAIN),
    }
    return Claim(**{**arguments, **changes})


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (-math.inf, math.inf),
        (2, 1),
        (1, 1),
        (math.nan, 1),
        (1, math.nan),
        (math.inf, math.inf),
    ],
)
def test_ends_must_be_in_order_and_one_finite(low, high):
    with pytest.raises(ValueError, match="`low` < `high` with one of them finite, got"):
        Inside(EFFECT, low=low, high=high)


@pytest.mark.parametrize("ends", [{"low": 0}, {"high": 0.0}, {"low": -0.0}, {"low": 0, "high": 1}])
def test_a_threshold_of_0_raises(ends):
    with pytest.raises(ValueError, match="smallest effect that counts, so not 0"):
        Inside(EFFECT, **ends)


@pytest.mark.parametrize("ends", [{"low": 0.1}, {"high": -0.1}, {"low": -0.1, "high": 0.1}])
def test_ends_that_can_say_no(ends):
    assert Inside(EFFECT, **ends).parts() == (Inside(EFFECT, **ends),)


def test_no_condition_raises():
    with pytest.raises(ValueError, match="`conditions` must hold at least one condition"):
        AllOf(())


@pytest.mark.parametrize(
    ("control", "arm", "expected"),
    [
        (Control({"depth": 1}), {}, {"depth": 1}),
        (Control({"depth": 1}), {"depth": 3, "kind": "fancy"}, {"depth": 1, "kind": "fancy"}),
        (Control(FANCY, of=PLAIN), PLAIN | {"depth": 3}, FANCY | {"depth": 3}),
        (Control(FANCY, of=PLAIN), FANCY, FANCY),
        (Control(FANCY, of=PLAIN), {"depth": 3}, {"depth": 3}),
        (Control(FANCY, of=PLAIN | {"depth": 3}), PLAIN, PLAIN),
    ],
)
def test_instead(control, arm, expected):
    before = dict(arm)
    assert control(arm) == expected
    assert arm == before


@pytest.mark.parametrize(
    "control",
    [
        Control({"depth": 1}, of={"kind": "none of them"}),
        Control(PLAIN, of=PLAIN),
        Control({"stream": 0}),  # spells out what every arm has anyway
        Control({"learning_rate": 0.1}),  # what `filled` fills in
        Control({"weight_decay": 0.5}),  # what the experiment says
        Control({}),
    ],
)
def test_a_control_that_changes_no_arm_raises(experiment, control):
    with pytest.raises(ValueError, match="the control of C1 changes no arm"):
        claim(experiment, control=control)


def test_a_control_that_changes_no_arm_at_one_scale_raises(experiment):
    with pytest.raises(ValueError, match="changes no arm at scale 'smoke'"):
        claim(experiment, control=Control({"depth": 1}))


@pytest.mark.parametrize(
    "changes",
    [
        {"test": Inside(single(height, {"speed": 3}), low=1)},
        {"control": Control({"speed": 3})},
        {"test": AllOf((Inside(EFFECT, low=1), Inside(single(height, {"speed": 3}), low=1)))},
    ],
)
def test_unknown_settings_raise(experiment, changes):
    with pytest.raises(ValueError, match="experiment 'base' has no setting speed"):
        claim(experiment, **changes)


@reads("colour")
def colour(run):
    return run["colour"][0]


@pytest.mark.parametrize(
    "changes",
    [{"test": Inside(single(colour, PLAIN), low=1)}, {"requires": colour}],
)
def test_unwatched_columns_raise(experiment, changes):
    with pytest.raises(ValueError, match=r"experiment 'base' does not watch colour"):
        claim(experiment, **changes)


def test_a_precondition_says_what_it_reads(experiment):
    with pytest.raises(ValueError, match="does not say what it @reads"):
        claim(experiment, requires=lambda run: True)


def test_reading_names_each_arm_and_column(experiment):
    written = claim(experiment, requires=wide)
    arms = [PLAIN, FANCY]
    assert list(written.reading()) == [(arm, name) for arm in arms for name in ("height", "width")]
    removed = [FANCY | {"stream": 1}, FANCY]
    assert list(written.reading(control=True)) == [
        (arm, name) for arm in removed for name in ("height", "width")
    ]
    assert written.columns() == ("height", "width")
    assert written.arms() == (PLAIN, FANCY)


def test_the_control_keeps_the_judge(experiment):
    both = AllOf((Inside(EFFECT, low=0.5, label="first"), Inside(EFFECT, high=9, label="second")))
    written = claim(experiment, test=both)
    for part, removed in zip(written.parts(), written.parts(control=True), strict=True):
        assert (part.low, part.high, part.label) == (removed.low, removed.high, removed.label)
        assert removed.effect.reduction is part.effect.reduction
        assert removed.effect.arms == (FANCY | {"stream": 1}, FANCY)


def test_a_searched_setting_may_be_controlled(experiment):
    tuned = {"learning_rate": Best((0.1, 0.2), by=height)}
    written = claim(experiment, test=Inside(difference(height, PLAIN | tuned, minus=FANCY), low=1))
    assert written.parts(control=True)[0].effect.arms[0] == FANCY | {"stream": 1} | tuned


def test_the_four_words():
    assert VERDICTS == ("reproduced", "contradicted", "inconclusive", "not judged")
    assert REPRODUCED == "reproduced"


def test_a_control_may_change_arms_of_several_kinds():
    control = Control({"stream": 1}, of=({"depth": 2}, {"depth": 3}))
    changed = [control({"depth": depth}).get("stream", 0) for depth in (1, 2, 3)]
    assert changed == [0, 1, 1]


def test_an_arm_beside_is_checked_like_any_other(experiment):
    with pytest.raises(ValueError, match="has no setting colour"):
        claim(experiment, beside={"x": single(height, {"colour": 1})})


@pytest.mark.parametrize("name", ["6", "C0", "C", "c6", "C6b"])
def test_a_claim_is_numbered(experiment, name):
    with pytest.raises(ValueError, match="`id` must be C and a number"):
        claim(experiment, id=name)


def test_a_setting_is_not_chosen_on_judged_seeds(experiment):
    tuned = {"learning_rate": Best((0.1, 0.2), by=height, seeds=(7, 90))}
    with pytest.raises(ValueError, match=r"learning_rate must not be judged, got \(7, 90\)"):
        claim(experiment, test=Inside(difference(height, PLAIN | tuned, minus=FANCY), low=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 2, "high": 1}, "`low` <= `high` with one of them finite, got 2, 1"),
        ({}, "`low` <= `high` with one of them finite"),
        ({"low": math.nan}, "`low` <= `high` with one of them finite"),
        ({"high": 1, "reaches": 2}, "`reaches` must lie in"),
        ({"high": 1, "effects": ()}, "`effects` must be one or more effects of one unit"),
        (
            {"high": 1, "effects": (EFFECT, replace(EFFECT, unit="slope"))},
            "`effects` must be one or more effects of one unit",
        ),
    ],
)
def test_bad_bounds(arguments, message):
    with pytest.raises(ValueError, match=message):
        Every(**{"effects": (EFFECT,), **arguments})


def test_the_control_changes_each_effect_of_a_bound(experiment):
    bound = Every((single(height, PLAIN), single(height, FANCY)), high=1, label="a bound")
    (removed,) = claim(experiment, test=bound).parts(control=True)
    assert [effect.arms for effect in removed.effects] == [(FANCY | {"stream": 1},), (FANCY,)]
    assert (removed.high, removed.label) == (1, "a bound")
