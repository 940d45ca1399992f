"""Each claim, fed made-up records: reproduced with its mechanism, and not without it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wdattn.papers import KEYS, lookup
from wdattn.reproduction import AllOf, Record
from wdattn.reproduction.judge.judgement import judge_runs


def near(value, spread=0.1):
    """A positive number about `value`; as many as `value` has entries."""
    return lambda rng: np.asarray(value) * np.exp(spread * rng.normal(size=np.shape(value)))


def ahn_loss(run, rng):
    """Falls with depth and with lighter covariates; Adam's gap grows with depth, from none."""
    level = 0.5**run.layers / (100 if run.covariates == "sphere" else 1)
    level *= 100 if run.activation == "softmax" else 1
    return near(level / (2.0**run.layers if run.optimizer == "adam" and run.layers > 1 else 1))(rng)


def ahn_condition(run, rng):
    """SGD's grows with depth, and more so with heavy tails."""
    gap = 1.5 ** (run.layers - 1) * (4 if run.covariates == "gamma" else 1)
    return near([12.0 * gap if run.optimizer == "sgdm" else 12.0] * 2)(rng)


def ahn_smoothness(run, rng):
    gradient = np.exp(rng.uniform(-4, 4))
    return [gradient, near(gradient ** (0.6 if run.layers > 1 else 0))(rng)]


def ahn_tail(run, rng):
    """Heavier with heavy-tailed covariates and with depth; a Gaussian's own if it is Gaussian."""
    data = (7.0 if run.covariates == "gamma" else 1.6) * 1.05**run.layers
    return near([1.3 if run.gaussian else data, 1.3, 1, 1, 9])(rng)


def none_skipped(run, rng):
    return 0.0


LOSS = {"loss": ahn_loss, "skipped": none_skipped}
CONDITION = {"condition": ahn_condition, "skipped": none_skipped}
ALONG = {"directional_smoothness": lambda run, rng: -10 * ahn_loss(run, rng)}
SMOOTHNESS, TAIL = {"smoothness": ahn_smoothness}, {"noise_tail": ahn_tail}

# A claim a line: for each column that it reads, what a run with these settings would have in one
# cell if the paper is right. The control's arms must then do without the effect by themselves.
WORLDS = {
    **{("ahn2024", f"C{n}"): LOSS for n in (1, 2, 3, 12, 13, 14, 15, 18, 19)},
    **{("ahn2024", f"C{n}"): TAIL for n in (4, 5, 16, 21)},
    **{("ahn2024", f"C{n}"): CONDITION for n in (6, 7, 8, 9, 17, 20)},
    **{("ahn2024", f"C{n}"): ALONG for n in (10, 22, 23)},
    **{("ahn2024", f"C{n}"): SMOOTHNESS for n in (11, 24, 25)},
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
        # A rate may be searched by the loss, whatever the claim reads.
        for place, column in enumerate({**LOSS, **world}):
            if column not in experiment.watch:
                continue
            times = experiment.at(scale).times(column, run.steps)
            rng = np.random.default_rng([run.seed, run.stream, place, int(run.run_id("", ""), 16)])
            cells = [np.asarray({**LOSS, **world}[column](run, rng), "float64") for _ in times]
            columns[column] = np.array(times), np.stack(cells)
        return Record(run, columns)

    seeds = experiment.at(scale).seeds
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
    """The claim about the opposite: each effect with the other sign."""
    parts = []
    for part in claim.parts():
        effect = part.effect
        opposite = replace(effect, combine=lambda *v, combine=effect.combine: -combine(*v))
        parts.append(replace(part, effect=opposite))
    return replace(claim, test=AllOf(tuple(parts)))


PAIRED = [n for n, claim in CLAIMS.items() if all(len(p.effect.arms) > 1 for p in claim.parts())]


@every_claim
@every_scale
def test_with_the_arms_swapped_it_is_contradicted(name, scale):
    claim = CLAIMS[name]
    found = judged(name, scale, claim=swapped(claim))
    one_sided = all(math.isinf(part.low) or math.isinf(part.high) for part in claim.parts())
    assert found.verdict == "contradicted" if one_sided else found.verdict != "reproduced"


@pytest.mark.parametrize("name", PAIRED, ids="-".join)
@every_scale
def test_where_the_arms_do_not_differ_it_is_not_reproduced(name, scale):
    one = CLAIMS[name].experiment.at(scale).run(CLAIMS[name].arms()[0], 0)
    dead = {
        column: lambda run, rng, make=make: make(one, rng) for column, make in WORLDS[name].items()
    }
    found = judged(name, scale, world=dead)
    assert found.verdict in ("contradicted", "inconclusive"), found.why


@every_claim
@every_scale
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_run_that_diverged_leaves_it_open(name, scale, broken):
    first = CLAIMS[name].experiment.at(scale).run(CLAIMS[name].arms()[0], 1)

    def spoil(make):
        def made(run, rng):
            cell = np.asarray(make(run, rng), "float64")
            return (
                np.full(cell.shape, broken)
                if replace(run, learning_rate=first.learning_rate) == first
                else cell
            )

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
        assert len(claim.experiment.at(scale).seeds) >= claim.minimum_seeds
