"""Each experiment of each paper expands at every scale, and what it names can be built and run."""

import functools
import re
from dataclasses import replace

import numpy as np
import pytest

from wdattn import backend
from wdattn.papers import lookup
from wdattn.replicas import weights_by_path
from wdattn.reproduction import Record, Settings
from wdattn.reproduction.design import discovery
from wdattn.reproduction.design.references import Unresolved, resolve
from wdattn.reproduction.design.watch import LOSS, SKIPPED
from wdattn.reproduction.run.training import Member, train

KEYS = [key for key, package in discovery.packages().items() if package.startswith("wdattn.")]
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
            arms = figure.shown(scale).values()
            yield from ((arm, column) for arm in arms for column in figure.columns)


class Made:
    """A store in which every run that is asked for exists, with ones in every column."""

    def __init__(self):
        self.records = {}

    def __call__(self, settings):
        return self.records.get(settings)

    def make(self, scale, need):
        at_scale = need.experiment.at(scale)
        steps = {name: np.array(at_scale.times(name, need.settings.steps)) for name in need.columns}
        columns = {name: (times, np.ones(len(times))) for name, times in steps.items()}
        manifest = {"id": need.settings.run_id("b", "jax"), "kept": need.keep}
        self.records[need.settings] = Record(need.settings, columns, manifest)


@functools.cache
def runs(key, name, scale):
    """Each run of the experiment, with its columns; and those that its references need."""
    at_scale, made, found = PAPERS[key].experiments()[name].at(scale), Made(), {}
    for arm, column in pairs(key, name, scale):
        for seed in at_scale.seeds:
            found.setdefault(resolved(at_scale, arm, seed, made, found), set()).add(column)
    return found


def resolved(at_scale, arm, seed, made, found):
    """The run, once what its references need is made."""
    while True:
        try:
            return resolve(at_scale, arm, seed, made)
        except Unresolved as missing:
            for need in missing.needs:
                made.make(at_scale.name, need)
                if need.experiment == at_scale.experiment:
                    found.setdefault(need.settings, set()).update(need.columns)


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
        assert columns - {LOSS, SKIPPED} <= set(paper.measures(run))
        for column, times in experiment.at(scale).watching(run, columns).items():
            assert 0 <= times[0] and times[-1] < run.steps + (column != LOSS)
        assert set(experiment.watch) - {LOSS, SKIPPED} <= set(paper.measures(run))


@every_experiment
def test_it_says_what_it_is_and_costs(key, name, scale):
    experiment = PAPERS[key].experiments()[name]
    without = {"laptop"} if experiment in PAPERS[key].studies else set()
    assert {"smoke", "laptop", "paper"} <= set(experiment.scales) | without
    assert experiment.source and experiment.expects
    assert experiment.at(scale).deviations()
    assert experiment.at(scale).seconds() > 0


@every_experiment
def test_its_systems_build(key, name, scale):
    for run in systems(key, name, scale):
        with backend.precision(run.precision):
            system = PAPERS[key].system(run)
            shapes = {path: w.shape for path, w in weights_by_path(system.model).items()}
            weights = system.start(run)
            assert {path: np.shape(w) for path, w in weights.items()} == shapes
            assert same(weights, system.start(run))
            assert not same(weights, system.start(replace(run, seed=run.seed + 1)))


def same(one, other):
    return all(np.array_equal(one[path], other[path]) for path in one)


@pytest.mark.parametrize(("key", "name", "scale"), [e for e in EXPERIMENTS if e[2] == "smoke"])
def test_its_systems_train(key, name, scale):
    for run in systems(key, name, scale):
        run = replace(run, steps=min(run.steps, 1))
        with backend.precision(run.precision):
            columns, weights = trained(PAPERS[key].system(run), run)
            before = PAPERS[key].system(run).start(run)
        assert all(np.isfinite(weight).all() for weight in weights.values())
        assert {str(weight.dtype) for weight in weights.values()} == {run.precision}
        if run.steps:
            assert np.isfinite(columns[LOSS][1]).all()
            assert not same(before, weights)


def trained(system, run):
    """Its columns and last weights."""
    kept = {}

    def keep(place, step, weights):
        kept[step] = weights
        return ""

    member = Member(run, {LOSS: (0,)} if run.steps else {}, keep=(run.steps,))
    (outcome,) = train([member], system, {}, keep=keep)
    return outcome.columns, kept[run.steps]


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
    for figure in paper.figures:
        assert re.fullmatch("[a-z0-9-]+", figure.name)
        assert figure.title and figure.caption
        if figure.claim:
            assert paper.claim(figure.claim).experiment == figure.experiment
        else:
            assert figure.experiment in paper.studies


@pytest.mark.parametrize("key", KEYS)
def test_a_paper_has_headlines_and_numbered_claims(key):
    paper = PAPERS[key]
    assert paper.key == key and paper.title and paper.citation
    assert 2 <= len(paper.headline) <= 5
    assert all(re.fullmatch(r"C[1-9]\d*", claim.id) for claim in paper.claims)
    for claim in paper.claims:
        run = claim.experiment.at("smoke").run(claim.arms()[0], 0)
        assert re.fullmatch("[0-9a-f]{12}(-[0-9a-f]{12})?", paper.build(run))
