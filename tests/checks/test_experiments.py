"""Each experiment of each paper expands at every scale, and what it names can be built and run."""

import functools
import re
from dataclasses import replace

import numpy as np
import pytest

from wdattn.papers import KEYS, lookup
from wdattn.reproduction import Settings
from wdattn.reproduction.design.references import resolve, trials
from wdattn.reproduction.design.watch import LOSS, SKIPPED
from wdattn.reproduction.run.training import Member, train

SCALES = ("smoke", "laptop", "paper")
PAPERS = {key: lookup(key) for key in KEYS}
EXPERIMENTS = [
    (key, name, scale)
    for key, paper in PAPERS.items()
    for name, experiment in paper.experiments().items()
    for scale in experiment.scales
]
every_experiment = pytest.mark.parametrize(("key", "name", "scale"), EXPERIMENTS)


def pairs(key, name, scale):
    """Every arm and column of the experiment that a claim, its control or a figure reads."""
    paper = PAPERS[key]
    for claim in paper.claims:
        if claim.experiment.name == name:
            yield from claim.reading()
            yield from claim.reading(control=True)
    for figure in paper.figures:
        if figure.experiment.name == name and figure.drawn_at(scale):
            yield from ((arm, column) for arm in figure.arms.values() for column in figure.columns)


@functools.cache
def runs(key, name, scale):
    """Each run, with its columns: a searched setting stands at the first value of its grid."""
    experiment, found = PAPERS[key].experiments()[name], {}
    for arm, column in pairs(key, name, scale):
        plain = arm
        for trial, searched in trials(experiment, scale, arm):
            found.setdefault(trial, set()).add(searched)
            plain = {**arm, "learning_rate": trial.learning_rate}
        for seed in experiment.at(scale).seeds:
            found.setdefault(experiment.at(scale).run(plain, seed), set()).add(column)
    return found


def systems(key, name, scale):
    """One run of each kind that is not stacked with another."""
    return list({run.group(): run for run in runs(key, name, scale)}.values())


@every_experiment
def test_it_expands(key, name, scale):
    paper, experiment = PAPERS[key], PAPERS[key].experiments()[name]
    found = runs(key, name, scale)
    assert len({run.run_id("b", "jax") for run in found}) == len(found) > 0
    for run, columns in found.items():
        assert Settings.unpacked(run.packed()) == run == run.filled()
        assert run.learning_rate is not None
        assert columns - {LOSS, SKIPPED} <= set(paper.measures())
        for column, times in experiment.at(scale).watching(run, columns).items():
            assert 0 <= times[0] and times[-1] < run.steps + (column != LOSS)
    for column in set(experiment.watch) - {LOSS, SKIPPED}:
        assert column in paper.measures()


@every_experiment
def test_it_says_what_it_is_and_costs(key, name, scale):
    experiment = PAPERS[key].experiments()[name]
    without = {"laptop"} if experiment in PAPERS[key].studies else set()
    assert set(experiment.scales) | without == set(SCALES)
    assert experiment.source and experiment.expects
    assert experiment.deviations[scale]
    assert experiment.cost[scale] > 0


@every_experiment
def test_its_systems_build(key, name, scale):
    for run in systems(key, name, scale):
        system = PAPERS[key].system(run)
        variables = [*system.model.trainable_variables, *system.model.non_trainable_variables]
        weights = system.start(run)
        assert [np.shape(w) for w in weights] == [tuple(v.shape) for v in variables]
        again = system.start(run)
        assert all(np.array_equal(a, b) for a, b in zip(weights, again, strict=True))
        other = system.start(replace(run, seed=run.seed + 1))
        assert not all(np.array_equal(a, b) for a, b in zip(weights, other, strict=True))


@pytest.mark.parametrize(("key", "name", "scale"), [e for e in EXPERIMENTS if e[2] == "smoke"])
def test_its_systems_train(key, name, scale):
    for run in systems(key, name, scale):
        run = replace(run, steps=min(run.steps, 1))
        system = PAPERS[key].system(run)
        watch = {LOSS: (0,)} if run.steps else {}
        ((columns, weights),) = train([Member(run, watch)], system, {})
        assert all(np.isfinite(weight).all() for weight in weights)
        if run.steps:
            assert np.isfinite(columns[LOSS][1]).all()
            before = system.start(run)
            assert any(not np.array_equal(a, b) for a, b in zip(before, weights, strict=True))


@every_experiment
def test_a_batch_is_a_function_of_seed_stream_and_step(key, name, scale):
    if scale != "smoke":
        return  # the same code on more prompts
    run = systems(key, name, scale)[0]
    draw = PAPERS[key].system(run).batch
    first = draw(run, 3)
    assert all(np.array_equal(a, b) for a, b in zip(first, draw(run, 3), strict=True))
    for other in (draw(run, 4), draw(replace(run, seed=run.seed + 1), 3),
                  draw(replace(run, stream=run.stream + 1), 3)):  # fmt: skip
        assert not np.array_equal(first[0], other[0])
    same = draw(replace(run, learning_rate=run.learning_rate * 2, weight_decay=0.1), 3)
    assert np.array_equal(first[0], same[0])


@pytest.mark.parametrize("key", KEYS)
def test_figures_belong_to_claims(key):
    paper = PAPERS[key]
    names = [figure.name for figure in paper.figures]
    assert len(set(names)) == len(names)
    for figure in paper.figures:
        assert re.fullmatch("[a-z0-9-]+", figure.name)
        for claim in (figure.claim, *figure.also):
            assert claim == "" or paper.claim(claim)
        assert figure.claim or figure.experiment in paper.studies
        assert set(figure.scales) <= set(figure.experiment.scales)
        assert figure.title and figure.caption
        assert paper.experiments()[figure.experiment.name] == figure.experiment
        for arm in figure.arms.values():
            figure.experiment.check_arm(arm)
        assert set(figure.columns) <= set(figure.experiment.watch)


@pytest.mark.parametrize("key", KEYS)
def test_a_paper_has_headlines_and_numbered_claims(key):
    paper = PAPERS[key]
    assert paper.key == key and paper.title and paper.citation
    assert 2 <= len(paper.headline) <= 5
    assert all(re.fullmatch(r"C[1-9]\d*", claim.id) for claim in paper.claims)
    assert re.fullmatch("[0-9a-f]{12}", paper.build())


def test_resolve_leaves_plain_arms_alone():
    for key, name, scale in EXPERIMENTS:
        experiment = PAPERS[key].experiments()[name]
        for arm, _ in pairs(key, name, scale):
            if not list(trials(experiment, scale, arm)):
                assert resolve(experiment, scale, arm, lambda run: None) == (dict(arm), [])
