"""Each claim, fed made-up records: reproduced with its mechanism, and not without it."""

import functools
import importlib
import math
from dataclasses import replace

import numpy as np
import pytest

from wdattn.papers import lookup
from wdattn.reproduction import AllOf, Best, Every, Record
from wdattn.reproduction.design import discovery
from wdattn.reproduction.design.reductions import columns_of
from wdattn.reproduction.judge.judgement import judge_runs

OURS = [key for key, package in discovery.packages().items() if package.startswith("wdattn.")]
CLAIMS = {(key, claim.id): claim for key in OURS for claim in lookup(key).claims}
JUDGED = [
    (name, scale)
    for name, claim in CLAIMS.items()
    for scale in claim.experiment.scales
    if scale != "smoke"  # two seeds decide nothing
]
WORLDS = {
    (key, name): world
    for key in OURS
    for name, world in importlib.import_module(f"tests.papers.{key}.worlds").WORLDS.items()
}
"""Claim to the made-up cells of its columns, which each paper brings in `tests/papers/<key>/`."""

every_claim = pytest.mark.parametrize("name", CLAIMS, ids="-".join)
every_judged_claim = pytest.mark.parametrize(("name", "scale"), JUDGED)


def judged(name, scale, *, claim=None, control=False, world=None):
    claim, world = claim or CLAIMS[name], world or WORLDS[name]
    at_scale = claim.experiment.at(scale)

    @functools.cache
    def find(run):
        columns = {}
        for place, (column, make) in enumerate(world.items()):
            times = at_scale.times(column, run.steps)
            rng = np.random.default_rng([run.seed, run.stream, place, int(run.run_id("", ""), 16)])
            columns[column] = np.array(times), np.stack([_cell(make, run, rng) for _ in times])
        manifest = {"id": run.run_id("", ""), "kept": range(run.steps + 1)}
        return Record(run, columns, manifest)

    return judge_runs(claim, find, scale, at_scale.seeds, control)


def _cell(make, run, rng):
    return np.asarray(make(run, rng), "float64")


def columns_behind(claim):
    """The columns that the claim reads, and those by which its settings are searched."""
    searched = [
        column
        for scale in claim.experiment.scales
        for arm in claim.arms()
        for value in claim.experiment.at(scale).overrides(arm).values()
        if isinstance(value, Best)
        for column in columns_of(value.by)
    ]
    return {*claim.columns(), *searched}


def test_every_claim_has_a_world_and_every_world_a_claim():
    assert set(WORLDS) == set(CLAIMS)
    for name, world in WORLDS.items():
        assert set(world) == columns_behind(CLAIMS[name]), name


@every_judged_claim
def test_with_the_mechanism_it_is_reproduced(name, scale):
    found = judged(name, scale)
    assert found.verdict == "reproduced", found.why


@every_judged_claim
def test_with_the_mechanism_removed_it_is_not(name, scale):
    found = judged(name, scale, control=True)
    assert found.verdict in ("contradicted", "inconclusive"), found.why


def swapped(claim):
    """The claim about the opposite: each effect with the other sign."""

    def opposite(effect):
        return replace(effect, combine=lambda *v: -effect.combine(*v))

    parts = [
        replace(part, effects=tuple(map(opposite, part.effects)))
        if isinstance(part, Every)
        else replace(part, effect=opposite(part.effect))
        for part in claim.parts()
    ]
    return replace(claim, test=AllOf(tuple(parts)))


def is_paired(claim):
    return all(len(effect.arms) > 1 for effect in claim.effects())


@every_judged_claim
def test_with_the_arms_swapped_it_is_contradicted(name, scale):
    claim = CLAIMS[name]
    found = judged(name, scale, claim=swapped(claim))
    one_sided = all(math.isinf(part.low) or math.isinf(part.high) for part in claim.parts())
    assert found.verdict == "contradicted" if one_sided else found.verdict != "reproduced"


@pytest.mark.parametrize(("name", "scale"), [one for one in JUDGED if is_paired(CLAIMS[one[0]])])
def test_where_the_arms_do_not_differ_it_is_not_reproduced(name, scale):
    one = CLAIMS[name].experiment.at(scale).run(CLAIMS[name].arms()[0], 0)
    dead = {
        column: lambda run, rng, make=make: make(one, rng) for column, make in WORLDS[name].items()
    }
    found = judged(name, scale, world=dead)
    assert found.verdict in ("contradicted", "inconclusive"), found.why


@every_judged_claim
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
    for scale in set(claim.experiment.scales) - {"smoke"}:
        assert len(claim.experiment.at(scale).seeds) >= claim.minimum_seeds
