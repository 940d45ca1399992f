"""A setting that is chosen on seeds which are not judged."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wdattn.reproduction import Best, Choice, Record, Scale, reads
from wdattn.reproduction.design.references import NoneFinite, Unresolved, resolve, trials

GRID, SEEDS = (0.1, 0.2, 0.4), (50, 51)


@reads("height")
def height(run):
    return run["height"].mean()


BEST = Best(GRID, by=height, seeds=SEEDS)
ARM = {"kind": "fancy", "learning_rate": BEST}


def scores(experiment, finder, table):
    """Records whose heights at each rate are those of `table`, one a seed."""
    return finder(experiment, lambda run, column: table[run.learning_rate][SEEDS.index(run.seed)])


def test_the_smallest_mean_wins(experiment, finder):
    table = {0.1: (1, 9), 0.2: (4, 4), 0.4: (3, 7)}
    resolved, (chosen,) = resolve(experiment, "laptop", ARM, scores(experiment, finder, table))
    assert resolved == {"kind": "fancy", "learning_rate": 0.2}
    assert chosen == Choice("learning_rate", 0.2, (0.1, 0.2, 0.4), {"kind": "fancy"})
    assert not chosen.at_an_end
    assert ARM["learning_rate"] is BEST


@pytest.mark.parametrize("best", [0.1, 0.4])
def test_a_winner_at_the_end_of_the_grid_is_told(experiment, finder, best):
    table = {rate: (0, 0) if rate == best else (1, 1) for rate in GRID}
    _, (chosen,) = resolve(experiment, "laptop", ARM, scores(experiment, finder, table))
    assert chosen.value == best and chosen.at_an_end


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_ranks_last(experiment, finder, broken):
    table = {0.1: (broken, -9), 0.2: (1e30, 1e30), 0.4: (-9, broken)}
    resolved, _ = resolve(experiment, "laptop", ARM, scores(experiment, finder, table))
    assert resolved["learning_rate"] == 0.2


def test_a_reduction_of_what_is_not_positive_does_not_warn(toy):
    logs = reads("height")(lambda run: np.log(run["height"][0]))
    record = Record(toy(), {"height": (np.array([5]), np.array([0.0]))})
    assert Best(GRID, by=logs).score([record]) == math.inf


def test_no_finite_score_at_all_raises(experiment, finder):
    table = dict.fromkeys(GRID, (math.nan, 1))
    with pytest.raises(
        NoneFinite, match=r"no learning_rate of \(0.1, 0.2, 0.4\) gave a finite score"
    ):
        resolve(experiment, "laptop", ARM, scores(experiment, finder, table))


def test_a_missing_trial_raises(experiment, finder):
    absent = [experiment.run("laptop", {"kind": "fancy", "learning_rate": 0.4}, 51)]
    find = finder(experiment, lambda run, column: 1, absent=absent)
    with pytest.raises(Unresolved, match="base: learning_rate = 0.4, seed 51"):
        resolve(experiment, "laptop", ARM, find)


def test_trials_are_on_its_own_seeds_and_of_the_arm(experiment):
    runs = list(trials(experiment, "laptop", ARM))
    assert {(run.learning_rate, run.seed) for run, _ in runs} == {
        (r, s) for r in GRID for s in SEEDS
    }
    assert {run.kind for run, _ in runs} == {"fancy"}
    assert {column for _, column in runs} == {"height"}
    assert list(trials(experiment, "laptop", {"learning_rate": 0.1})) == []


def test_an_arm_without_a_reference_is_left_alone(experiment):
    assert resolve(experiment, "laptop", {"learning_rate": 0.1}, lambda run: None) == (
        {"learning_rate": 0.1},
        [],
    )


def test_a_scale_may_search_where_the_arm_says_nothing_else(experiment, finder):
    searched = replace(experiment, scales={"laptop": Scale(5, {"learning_rate": BEST})})
    table = {0.1: (1, 9), 0.2: (4, 4), 0.4: (3, 7)}
    find = scores(experiment, finder, table)
    assert resolve(searched, "laptop", {"kind": "fancy"}, find)[0] == {
        "kind": "fancy",
        "learning_rate": 0.2,
    }
    assert resolve(searched, "laptop", {"learning_rate": 0.7}, find) == ({"learning_rate": 0.7}, [])
    assert {run.learning_rate for run, _ in trials(searched, "laptop", {})} == set(GRID)
    assert list(trials(searched, "laptop", {"learning_rate": 0.7})) == []


def test_a_grid_may_depend_on_the_run(experiment, finder):
    best = Best(lambda run: GRID if run.kind == "fancy" else (1.0, 2.0), by=height, seeds=SEEDS)
    runs = [
        run for run, _ in trials(experiment, "laptop", {"kind": "plain", "learning_rate": best})
    ]
    assert {run.learning_rate for run in runs} == {1.0, 2.0}
    table = {1.0: (1, 1), 2.0: (0, 0)}
    arm, _ = resolve(
        experiment, "laptop", {"learning_rate": best}, scores(experiment, finder, table)
    )
    assert arm == {"learning_rate": 2.0}


def test_two_searched_settings_raise(experiment):
    arm = {"learning_rate": BEST, "weight_decay": BEST}
    with pytest.raises(
        ValueError,
        match=r"may search one setting, this one searches \['learning_rate', 'weight_decay'",
    ):
        list(trials(experiment, "laptop", arm))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grid": (0.1,), "by": height}, "`grid` must hold at least 2 values"),
        ({"grid": GRID, "by": height, "seeds": ()}, "`seeds` must hold at least one seed"),
        ({"grid": GRID, "by": lambda run: 0}, "does not say what it @reads"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Best(**arguments)
