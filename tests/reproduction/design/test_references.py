"""Settings that are chosen, or taken from another run, before a run has a name."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.toy_paper import Toy
from wdattn.reproduction import Best, Choice, Experiment, Follow, From, Record, Scale, at, reads
from wdattn.reproduction.design.references import (
    Address,
    NoneFinite,
    Unresolved,
    addresses,
    choices,
    resolve,
)

GRID, SEEDS = (0.1, 0.2, 0.4), (50, 51)


@reads("height")
def height(run):
    return run["height"].mean()


BEST = Best(GRID, by=height, seeds=SEEDS)
ARM = {"kind": "fancy", "learning_rate": BEST}


@pytest.fixture
def laptop(experiment):
    return experiment.at("laptop")


def scores(experiment, finder, table):
    """Records whose heights at each rate are those of `table`, one a seed."""
    return finder(experiment, lambda run, column: table[run.learning_rate][SEEDS.index(run.seed)])


def nothing(settings):
    """A store without a record."""
    return None


def needs(at_scale, arm, seed=0, find=nothing):
    with pytest.raises(Unresolved) as missing:
        resolve(at_scale, arm, seed, find)
    return missing.value.needs


def test_the_smallest_mean_wins(laptop, experiment, finder):
    # By the largest of both seeds 0.2 would win, by the smallest 0.1.
    find = scores(experiment, finder, {0.1: (1, 9), 0.2: (5, 5), 0.4: (2, 7)})
    assert resolve(laptop, ARM, 3, find) == laptop.run({"kind": "fancy", "learning_rate": 0.4}, 3)
    find = scores(experiment, finder, {0.1: (1, 9), 0.2: (4, 4), 0.4: (3, 7)})
    assert resolve(laptop, ARM, 3, find).learning_rate == 0.2
    (chosen,) = choices(laptop, ARM, find)
    assert chosen == Choice("learning_rate", 0.2, GRID, {"kind": "fancy"})
    assert not chosen.at_an_end
    assert ARM["learning_rate"] is BEST


@pytest.mark.parametrize("best", [0.1, 0.4])
def test_a_winner_at_an_end_of_the_grid_is_told(laptop, experiment, finder, best):
    table = {rate: (0, 0) if rate == best else (1, 1) for rate in GRID}
    (chosen,) = choices(laptop, ARM, scores(experiment, finder, table))
    assert chosen.value == best and chosen.at_an_end


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_ranks_last(laptop, experiment, finder, broken):
    table = {0.1: (broken, -9), 0.2: (1e30, 1e30), 0.4: (-9, broken)}
    assert resolve(laptop, ARM, 0, scores(experiment, finder, table)).learning_rate == 0.2


def test_a_reduction_of_what_is_not_positive_does_not_warn(toy):
    logs = reads("height")(lambda run: np.log(run["height"][0]))
    record = Record(toy(), {"height": (np.array([5]), np.array([0.0]))})
    assert Best(GRID, by=logs).score([record]) == math.inf


def test_no_finite_score_at_all_raises(laptop, experiment, finder):
    table = dict.fromkeys(GRID, (math.nan, 1))
    with pytest.raises(NoneFinite, match=r"no learning_rate of \(0.1, 0.2, 0.4\) gave a finite"):
        resolve(laptop, ARM, 0, scores(experiment, finder, table))


def test_every_missing_trial_is_asked_for_at_once(laptop, experiment, finder):
    asked = needs(laptop, ARM)
    expected = {laptop.run({"kind": "fancy", "learning_rate": r}, s) for r in GRID for s in SEEDS}
    assert {need.settings for need in asked} == expected and len(asked) == 6
    assert {(need.experiment.name, need.columns, need.keep) for need in asked} == {
        ("base", ("height",), ())
    }
    absent = [laptop.run({"kind": "fancy", "learning_rate": 0.4}, 51)]
    find = finder(experiment, lambda run, column: 1, absent=absent)
    assert [need.settings for need in needs(laptop, ARM, find=find)] == absent
    with pytest.raises(Unresolved, match="^base: seed 51, .*learning_rate 0.4, .*kind fancy"):
        resolve(laptop, ARM, 0, find)


def test_a_seed_on_which_a_value_is_chosen_is_not_judged(laptop):
    with pytest.raises(ValueError, match="`seed` must not be one that learning_rate is chosen on"):
        resolve(laptop, ARM, 51, nothing)


def test_an_arm_without_a_reference_is_left_alone(laptop):
    arm = {"learning_rate": 0.1}
    assert resolve(laptop, arm, 4, nothing) == laptop.run(arm, 4)
    assert list(choices(laptop, arm, nothing)) == []


def test_a_scale_may_search_where_the_arm_says_nothing_else(experiment, finder):
    searched = replace(experiment, scales={"laptop": Scale(5, {"learning_rate": BEST})}, notes={})
    find = scores(experiment, finder, {0.1: (1, 9), 0.2: (4, 4), 0.4: (3, 7)})
    laptop = searched.at("laptop")
    assert resolve(laptop, {"kind": "fancy"}, 0, find).learning_rate == 0.2
    assert resolve(laptop, {"learning_rate": 0.7}, 0, nothing).learning_rate == 0.7


def test_a_grid_may_depend_on_the_run(laptop, experiment, finder):
    best = Best(lambda run: GRID if run.kind == "fancy" else (1.0, 2.0), by=height, seeds=SEEDS)
    asked = needs(laptop, {"kind": "plain", "learning_rate": best})
    assert {need.settings.learning_rate for need in asked} == {1.0, 2.0}
    find = scores(experiment, finder, {1.0: (1, 1), 2.0: (0, 0)})
    assert resolve(laptop, {"learning_rate": best}, 0, find).learning_rate == 2.0


def test_two_searched_settings_raise(laptop):
    arm = {"learning_rate": BEST, "weight_decay": BEST}
    with pytest.raises(ValueError, match=r"one setting, .* \['learning_rate', 'weight_decay'"):
        resolve(laptop, arm, 0, nothing)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grid": (0.1,), "by": height}, "`grid` must hold at least 2 values"),
        ({"grid": GRID, "by": height, "seeds": ()}, "`seeds` must be one or more ints >= 0"),
        ({"grid": GRID, "by": lambda run: 0}, "does not say what it @reads"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Best(**arguments)


# What is taken from another run


@dataclass(frozen=True, kw_only=True)
class Branch(Toy):
    """A run that may start at another's weights, and follow its curve."""

    start: str | None = None
    curve: str | None = None


@pytest.fixture
def branch():
    return Experiment(
        "branch", Branch, {"steps": 4}, {"height": at(0)}, {"laptop": Scale(3), "smoke": Scale(2)}
    ).at("laptop")


class Made:
    """A store of runs that are made when they are asked for: each run a number, in order."""

    def __init__(self):
        self.records = {}

    def __call__(self, settings):
        return self.records.get(settings)

    def make(self, need, heights=(1.0,)):
        steps = np.array(need.experiment.at("laptop").times("height", need.settings.steps))
        manifest = {"id": f"{len(self.records):016x}", "kept": list(need.keep)}
        columns = {"height": (steps, np.full(len(steps), heights[0]))}
        self.records[need.settings] = Record(need.settings, columns, manifest)
        return manifest["id"]


def test_weights_are_those_of_the_same_seed_at_a_share_of_the_steps(branch, experiment):
    arm, find = {"start": From(experiment, {"kind": "fancy"}, share=0.5)}, Made()
    (need,) = needs(branch, arm, 2, find)
    assert need.settings == experiment.at("laptop").run({"kind": "fancy"}, 2)
    assert (need.experiment, need.keep, need.columns) == (experiment, (10,), ())
    run_id = find.make(need)
    run = resolve(branch, arm, 2, find)
    assert run == branch.run({"start": f"{run_id}@10"}, 2)
    assert addresses(run) == {"start": Address(run_id, step=10)}
    assert needs(branch, arm, 1, find)[0].settings.seed == 1


def test_a_run_whose_weights_were_not_kept_is_asked_for_again(branch, experiment):
    find = Made()
    (need,) = needs(branch, {"start": From(experiment)}, 2, find)
    find.make(replace(need, keep=(10,)))
    assert needs(branch, {"start": From(experiment)}, 2, find) == (need,)
    assert need.keep == (20,)


def test_a_column_is_followed(branch, experiment):
    arm, find = {"curve": Follow(experiment, {"kind": "fancy"}, "height")}, Made()
    (need,) = needs(branch, arm, 1, find)
    assert (need.settings.seed, need.columns, need.keep) == (1, ("height",), ())
    run_id = find.make(need)
    run = resolve(branch, arm, 1, find)
    assert run.curve == f"{run_id}/height"
    assert addresses(run) == {"curve": Address(run_id, column="height")}


def test_chains_are_resolved_link_by_link(branch, experiment):
    best = Best((0.1, 0.2), by=height, seeds=(9,))
    parent = From(experiment, {"learning_rate": best})
    child = branch.experiment.vary("child", {"steps": 2}).at("laptop")
    arm, find = {"start": From(branch.experiment, {"start": parent})}, Made()
    trials = needs(child, arm, 0, find)
    assert [(need.settings.learning_rate, need.settings.seed) for need in trials] == [
        (0.1, 9),
        (0.2, 9),
    ]
    for need, value in zip(trials, (2.0, 1.0), strict=True):
        find.make(need, (value,))
    (grandparent,) = needs(child, arm, 0, find)
    assert grandparent.settings == experiment.at("laptop").run({"learning_rate": 0.2}, 0)
    find.make(grandparent)
    (middle,) = needs(child, arm, 0, find)
    assert middle.experiment.name == "branch" and middle.keep == (4,)
    assert middle.settings.start == f"{find(grandparent.settings).id}@20"
    run_id = find.make(middle)
    assert resolve(child, arm, 0, find).start == f"{run_id}@4"


def test_trials_of_a_branch_start_at_their_own_seeds_weights(branch, experiment):
    best = Best((0.1, 0.2), by=height, seeds=(9,))
    arm = {"start": From(experiment), "learning_rate": best}
    find = Made()
    asked = needs(branch, arm, 0, find)
    assert {need.settings.seed for need in asked} == {0, 9}
    for need in asked:
        find.make(need)
    assert {need.settings.start for need in needs(branch, arm, 0, find)} == {
        f"{find(experiment.at('laptop').run({}, 9)).id}@20"
    }


def test_bad_references(experiment):
    with pytest.raises(ValueError, match="`share` must be"):
        From(experiment, share=1.5)
    with pytest.raises(ValueError, match="has no setting rate"):
        From(experiment, {"rate": 1.0})
    with pytest.raises(ValueError, match="does not watch weight"):
        Follow(experiment, {}, "weight")
