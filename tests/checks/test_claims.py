"""Each claim, fed made-up records: reproduced with its mechanism, and not without it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wdattn.papers import KEYS, lookup
from wdattn.reproduction import AllOf, Record
from wdattn.reproduction.judge import judge_runs


def near(value, spread=0.1):
    """A positive number about `value`; as many as `value` has entries."""
    return lambda rng: np.asarray(value) * np.exp(spread * rng.normal(size=np.shape(value)))


def ahn_loss(run, rng):
    return near(0.05 if run.optimizer == "adam" and run.layers > 1 else 0.5)(rng)


def ahn_smoothness(run, rng):
    gradient = np.exp(rng.uniform(-4, 4))
    return [gradient, near(gradient ** (0.6 if run.layers > 1 else 0))(rng)]


# A claim a line: for each column that it reads, what a run with these settings would have in one
# cell if the paper is right. The control's arms must then do without the effect by themselves.
WORLDS = {
    ("ahn2024", "C1"): {"loss": ahn_loss},
    ("ahn2024", "C5"): {
        "noise_tail": lambda run, rng: near([7.0 if run.setting == "gamma" else 1.6, 1.5, 1, 1, 9])(
            rng
        )
    },
    ("ahn2024", "C6"): {
        "condition": lambda run, rng: near(
            [30.0, 30.0] if run.optimizer == "sgdm" else [12.0, 12.0]
        )(rng)
    },
    ("ahn2024", "C10"): {"directional_smoothness": lambda run, rng: -10 * ahn_loss(run, rng)},
    ("ahn2024", "C11"): {"smoothness": ahn_smoothness},
}

CLAIMS = {(key, claim.id): claim for key in KEYS for claim in lookup(key).claims}
SCALES = ("laptop", "paper")
"""Where a verdict is asked for; two seeds of the smoke scale decide nothing."""

every_claim = pytest.mark.parametrize("name", CLAIMS, ids="-".join)
every_scale = pytest.mark.parametrize("scale", SCALES)


def judged(name, scale, *, claim=None, control=False, world=None):
    claim, world = claim or CLAIMS[name], world or WORLDS[name]
    experiment = claim.experiment

    def find(run):
        columns = {}
        for place, column in enumerate(claim.columns()):
            times = experiment.times(scale, column, run.steps)
            rng = np.random.default_rng([run.seed, run.stream, place, abs(hash(run)) % 2**32])
            cells = [np.asarray(world[column](run, rng), "float64") for _ in times]
            columns[column] = np.array(times), np.stack(cells)
        return Record(run, columns)

    seeds = experiment.scale(scale).seed_list()
    return judge_runs(claim, find, scale, seeds, control)


def test_every_claim_has_a_world_and_every_world_a_claim():
    assert set(WORLDS) == set(CLAIMS)
    for name, world in WORLDS.items():
        assert set(world) == set(CLAIMS[name].columns()), name


@every_claim
@every_scale
def test_with_the_mechanism_it_is_reproduced(name, scale):
    found = judged(name, scale)
    assert found.verdict == "reproduced", found.why


@every_claim
@every_scale
def test_with_the_mechanism_removed_it_is_not(name, scale):
    found = judged(name, scale, control=True)
    assert found.verdict in ("contradicted", "inconclusive"), found.why


def swapped(claim):
    """The claim about the opposite: each effect takes its arms in the other order."""
    parts = [
        replace(part, effect=replace(part.effect, arms=part.effect.arms[::-1]))
        for part in claim.parts()
    ]
    return replace(claim, test=AllOf(tuple(parts)))


PAIRED = [n for n, claim in CLAIMS.items() if all(len(p.effect.arms) > 1 for p in claim.parts())]


@pytest.mark.parametrize("name", PAIRED, ids="-".join)
@every_scale
def test_with_the_arms_swapped_it_is_contradicted(name, scale):
    claim = CLAIMS[name]
    found = judged(name, scale, claim=swapped(claim))
    one_sided = all(math.isinf(part.low) or math.isinf(part.high) for part in claim.parts())
    assert found.verdict == "contradicted" if one_sided else found.verdict != "reproduced"


@pytest.mark.parametrize("name", PAIRED, ids="-".join)
@every_scale
def test_where_the_arms_do_not_differ_it_is_not_reproduced(name, scale):
    one = CLAIMS[name].experiment.run(scale, CLAIMS[name].arms()[0], 0)
    dead = {
        column: lambda run, rng, make=make: make(one, rng) for column, make in WORLDS[name].items()
    }
    found = judged(name, scale, world=dead)
    assert found.verdict in ("contradicted", "inconclusive"), found.why


@every_claim
@every_scale
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_run_that_diverged_leaves_it_open(name, scale, broken):
    first = CLAIMS[name].experiment.run(scale, CLAIMS[name].arms()[0], 1)

    def spoil(make):
        def made(run, rng):
            cell = np.asarray(make(run, rng), "float64")
            return np.full(cell.shape, broken) if run == first else cell

        return made

    world = {column: spoil(make) for column, make in WORLDS[name].items()}
    assert judged(name, scale, world=world).verdict in ("inconclusive", "not judged")


@every_claim
def test_it_says_where_it_comes_from(name):
    claim = CLAIMS[name]
    assert claim.sentence.endswith(".") and claim.threshold_source
    assert claim.source or claim.experiment.source
    assert claim.expects or claim.experiment.expects
    assert claim.minimum_seeds >= 3
    for scale in SCALES:
        assert len(claim.experiment.scale(scale).seed_list()) >= claim.minimum_seeds
