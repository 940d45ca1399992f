"""What the fact sheet of Ahn et al. (2024) fixes: rates, rules, starts, batches, measures, ends."""

import math
from dataclasses import replace

import keras
import numpy as np
import pytest

from wdattn import backend
from wdattn.data import in_context_regression
from wdattn.papers import lookup
from wdattn.papers.ahn2024 import experiments, measures, network, system
from wdattn.papers.ahn2024.arms import ADAM, FEWER, GAMMA, SGDM, SPHERE
from wdattn.papers.ahn2024.experiments import BASE, FEWER_CONTEXTS, NETWORK, NOISE
from wdattn.papers.ahn2024.findings.depth import DEPTH_NOISE
from wdattn.papers.ahn2024.findings.directional_smoothness import directional_smoothness
from wdattn.papers.ahn2024.findings.generalized_smoothness import smoothness_slope
from wdattn.papers.ahn2024.findings.larger_model import LARGE
from wdattn.papers.ahn2024.findings.nonlinear import NETWORK_NOISE
from wdattn.papers.ahn2024.findings.softmax import SOFTMAX_RUNS
from wdattn.papers.ahn2024.settings import RATES, Noise, Regression
from wdattn.reproduction import Record, Snapshot
from wdattn.reproduction.design.references import Unresolved, resolve
from wdattn.reproduction.run.training import Member, train

PAPER = lookup("ahn2024")
SMALL = Regression(batch=16, steps=12, evaluation_prompts=32).filled()


@pytest.mark.parametrize(
    ("changes", "learning_rate", "clipnorm"),
    [
        (SGDM, 0.02, 1.0),
        (ADAM, 0.02, 1.0),
        (SGDM | {"context": 5}, 0.01, 1.0),
        (ADAM | {"context": 5}, 0.005, 1.0),
        (SGDM | GAMMA, 0.02, 1.0),
        (ADAM | GAMMA, 0.02, 1.0),
        (SGDM | SPHERE, 5.0, 0.1),
        (ADAM | SPHERE, 0.1, 0.1),
        (SGDM | {"covariates": "network"}, 0.05, 1.0),
        (ADAM | {"covariates": "network"}, 0.01, 1.0),
        (ADAM | {"learning_rate": 0.3, "clipnorm": 0.2}, 0.3, 0.2),
    ],
)
def test_rates_and_clipping_norms_are_the_authors(changes, learning_rate, clipnorm):
    run = BASE.at("laptop").run(changes, 0)
    assert (run.learning_rate, run.clipnorm) == (learning_rate, clipnorm)


def test_a_setting_without_a_rate_of_the_authors_raises_and_lists():
    with pytest.raises(
        ValueError, match=r"`learning_rate` must be given for \('gamma', 5, 'adam'\); .*sphere"
    ):
        Regression(covariates="gamma", context=5).filled()


def test_the_papers_values_are_the_defaults():
    run = BASE.at("paper").run({}, 3)
    assert (run.layers, run.dim, run.context, run.batch, run.steps) == (3, 5, 20, 1000, 10_000)
    assert run.weight_decay == 0 and run.evaluation_prompts == 1000
    assert NETWORK.at("paper").run({}, 0).batch == 2000
    assert len(NETWORK.at("paper").seeds) == 5
    large = LARGE.at("paper").run({}, 0)
    assert (large.layers, large.dim, large.context) == (8, 20, 60)
    assert NOISE.at("paper").run({}, 0).noise_batches == 10_000
    assert NOISE.at("paper").run({}, 0).reference_factor == 100


def test_laptop_scale_is_the_sheets():
    assert [len(BASE.at(name).seeds) for name in ("smoke", "laptop", "paper")] == [2, 6, 6]
    run = BASE.at("laptop").run({}, 0)
    assert (run.batch, run.steps, run.layers) == (256, 1300, 3)
    probe = NOISE.at("laptop").run({}, 0)
    assert (probe.batch, probe.noise_batches, probe.steps) == (256, 3000, 0)
    assert len(NOISE.at("laptop").seeds) == 5
    assert FEWER_CONTEXTS.at("laptop").run({}, 0).batch == 1000
    assert FEWER_CONTEXTS.at("laptop").run({}, 0).steps == 1260
    assert SOFTMAX_RUNS.at("laptop").run({}, 0).steps == 800
    for experiment in (DEPTH_NOISE, NETWORK_NOISE):
        assert len(experiment.at("laptop").seeds) == 8
        assert experiment.at("laptop").run({}, 0).noise_batches == 3000


@pytest.mark.parametrize("covariates", ["normal", "gamma", "sphere", "network"])
@pytest.mark.parametrize("arm", [SGDM, ADAM])
def test_at_paper_scale_rates_are_searched_in_a_grid_with_the_authors_choices(covariates, arm):
    at_scale = (NETWORK if covariates == "network" else BASE).at("paper")
    with pytest.raises(Unresolved) as missing:
        resolve(at_scale, arm | {"covariates": covariates}, 0, lambda run: None)
    trials = [need.settings for need in missing.value.needs]
    grid = {run.learning_rate for run in trials}
    assert len(grid) == (4 if covariates == "network" else 10)
    chosen = {
        rate
        for (law, _, rule), rate in RATES.items()
        if (law, {"optimizer": rule}) == (covariates, arm)
    }
    assert chosen and chosen <= grid
    assert not {run.seed for run in trials} & set(at_scale.seeds)


def test_the_nonlinear_task_has_one_size():
    with pytest.raises(ValueError, match="`layers` must be 3 with covariates 'network', got 8"):
        Regression(covariates="network", layers=8)


@pytest.mark.parametrize("scale", ["laptop", "paper"])
def test_what_is_watched_is_the_sheets(scale):
    steps = BASE.at(scale).run({}, 0).steps
    assert BASE.at(scale).times("condition", steps) == (750, 1250)
    assert BASE.at(scale).times("loss", steps) == tuple(range(steps - 100, steps))
    assert BASE.at(scale).times("directional_smoothness", steps) == tuple(range(100, 1251, 25))
    smoothness = BASE.at(scale).times("smoothness", steps)
    assert smoothness[:4] == (1, 7, 13, 19) and smoothness[-2:] == (1060, 1160)
    assert BASE.at(scale).times("evaluation_loss", steps)[:3] == (0, 50, 100)


# Threshold, and the arms of the control, as in the sheet's table of claims.
TWICE, OTHER = {"stream": 1}, {"layers": 1}
LOW = {
    "C1": (math.log(2), (SGDM | OTHER, ADAM | OTHER)),
    "C2": (math.log(1.05), (FEWER | SGDM, FEWER | SGDM | TWICE)),
    "C3": (math.log(1.2), (GAMMA | SGDM, GAMMA | SGDM | TWICE)),
    "C4": (math.log(1.05), ({"gaussian": True},)),
    "C5": (math.log(1.5), (SPHERE | TWICE, SPHERE)),
    "C6": (math.log(1.17), (ADAM | TWICE, ADAM)),
    "C7": (math.log(1.17), (ADAM | TWICE, ADAM)),
    "C8": (math.log(1.17), (GAMMA | ADAM | TWICE, GAMMA | ADAM)),
    "C9": (
        math.log(1.5),
        (SPHERE | SGDM | TWICE, SPHERE | ADAM | TWICE, SPHERE | SGDM, SPHERE | ADAM),
    ),
    "C10": (math.log(2), (SGDM | OTHER, ADAM | OTHER)),
    "C11": (0.2, (ADAM | OTHER,)),
    "C12": (math.log(5), (GAMMA | SGDM, GAMMA | SGDM | TWICE)),
    "C13": (math.log(2), (SPHERE | SGDM, SPHERE | SGDM | TWICE)),
    "C16": (math.log(1.05), ({"layers": 2} | TWICE, {"layers": 2})),
    "C18": (
        math.log(2),
        ({"activation": None} | ADAM | TWICE, {"activation": None} | ADAM),
    ),
    "C19": (math.log(2), (SGDM, SGDM | TWICE)),
    "C20": (math.log(1.44), (ADAM | TWICE, ADAM)),
    "C21": (math.log(1.05), ({"gaussian": True},)),
    "C22": (math.log(1.1), (FEWER | SGDM, FEWER | SGDM | TWICE)),
    "C23": (math.log(1.1), (GAMMA | SGDM, GAMMA | SGDM | TWICE)),
    "C24": (0.2, (ADAM | OTHER,)),
    "C25": (0.2, (GAMMA | ADAM | OTHER,)),
}


@pytest.mark.parametrize("name", LOW)
def test_thresholds_and_controls_are_the_sheets(name):
    claim, (low, removed) = PAPER.claim(name), LOW[name]
    part = claim.parts()[0]
    assert part.low == pytest.approx(low) and part.high == math.inf
    assert claim.parts(control=True)[0].effect.arms == removed


@pytest.mark.parametrize(("name", "low"), [("C14", 1.5), ("C15", 1.2), ("C17", 1.17)])
def test_the_control_of_depth_has_two_layers_everywhere(name, low):
    claim = PAPER.claim(name)
    assert all(part.low == pytest.approx(math.log(low)) for part in claim.parts())
    assert {arm["layers"] for arm in claim.arms()} == ({2, 4, 8} if name == "C17" else {2, 8})
    arms = [arm for part in claim.parts(control=True) for arm in part.effect.arms]
    assert {(arm["layers"], arm.get("stream", 0)) for arm in arms} == {(2, 0), (2, 1)}


def test_contrasts_have_the_signs_of_the_sheet():
    values = {"C9": (8, 4, 2, 1), "C14": (8, 4, 2, 1), "C17": (8, 4, 2, 1, 16, 32)}
    found = {name: PAPER.claim(name).parts()[0].effect.combine(*v) for name, v in values.items()}
    assert found == {"C9": 3, "C14": 3, "C17": 0.5 * (4 + 1) + 16}


def test_all_claims_are_there():
    assert [claim.id for claim in PAPER.claims] == [f"C{n}" for n in range(1, 26)]


def test_the_headline_is_the_issues():
    assert PAPER.headline == ("C1", "C5", "C6", "C10", "C11")


# Reductions


def record(column, values, skipped=0):
    values = np.asarray(values, "float64")
    columns = {column: (np.arange(len(values)), values)}
    return Record(SMALL, columns | {"skipped": (np.array([12]), np.array([skipped]))})


def test_reductions():
    assert experiments.end_loss(record("loss", [1, 1e9, 2])) == pytest.approx(math.log(2))
    assert experiments.end_loss(record("loss", [1, math.nan, 2])) == pytest.approx(math.log(2))
    condition = record("condition", [[1, math.e], [math.e**2, math.e**3]])
    assert experiments.condition(condition) == pytest.approx(1.5)
    along = record("directional_smoothness", [-4, 1, 2])
    assert directional_smoothness(along) == pytest.approx(math.log(2))
    gradient = np.array([0.1, 1.0, 3.0])
    smooth = record("smoothness", np.stack([gradient, 5 * gradient**0.7], 1))
    assert smoothness_slope(smooth) == pytest.approx(0.7)
    tail = record("noise_tail", [[3, 2, 0, 0, 9]])
    assert experiments.noise_tail(tail) == pytest.approx(math.log(3))
    assert experiments.excess_tail(tail) == pytest.approx(math.log(1.5))


def test_a_run_that_skipped_too_many_steps_counts_as_none():
    assert math.isnan(experiments.end_loss(record("loss", [1, 2], skipped=1)))  # of 12 steps
    assert math.isnan(experiments.condition(record("condition", [[1, 2]], skipped=1)))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(
    "name", [claim.id for claim in PAPER.claims if claim.columns()[0] != "loss"]
)
def test_reductions_pass_nan_on(name):
    cell = {"condition": [math.nan] * 2, "smoothness": [math.nan] * 2, "noise_tail": [math.nan] * 5}
    for part in PAPER.claim(name).parts():
        column = PAPER.claim(name).columns()[0]
        values = [cell.get(column, math.nan), np.ones_like(cell.get(column, 1.0))]
        assert math.isnan(part.effect.reduction(record(column, values)))


def test_a_loss_that_is_mostly_not_finite_is_infinite():
    assert experiments.end_loss(record("loss", [1, math.nan, math.inf])) == math.inf


# The system


def test_the_update_rules_are_the_notebooks():
    adam, sgdm = (system.build(BASE.at("smoke").run(arm, 0)).update.rule for arm in (ADAM, SGDM))
    assert (adam.beta_1, adam.beta_2, adam.epsilon) == (0.9, 0.9, 1e-8)
    assert sgdm.momentum == 0.9


def test_an_unknown_optimizer_raises():
    with pytest.raises(ValueError, match="`optimizer` must be one of adam, sgdm, got 'lion'"):
        system.build(replace(SMALL, optimizer="lion"))


def test_the_loss_is_the_mean_squared_error_of_the_prediction(rng):
    built = system.build(SMALL)
    x, y = built.batch(SMALL, 0)
    literal = np.mean(np.square(keras.ops.convert_to_numpy(built.model(x)) - y), dtype="float64")
    loss = keras.ops.convert_to_numpy(built.loss(keras.ops.convert_to_tensor(y), built.model(x)))
    np.testing.assert_allclose(loss, literal, rtol=1e-5)


def test_starts_are_normal_and_hang_on_the_seed_alone():
    weights = system.start(SMALL)
    assert sum(weight.size for weight in weights.values()) == 150
    many = np.concatenate(
        [
            weight.ravel()
            for seed in range(40)
            for weight in system.start(replace(SMALL, seed=seed)).values()
        ]
    )
    assert abs(many.mean()) < 4 * 0.05 / math.sqrt(many.size)
    assert abs(many.std() / 0.05 - 1) < 4 / math.sqrt(2 * many.size)
    for change in (
        {"optimizer": "sgdm"},
        {"learning_rate": 1.0},
        {"stream": 1},
        {"covariates": "sphere"},
    ):
        for path, other in system.start(replace(SMALL, **change)).items():
            np.testing.assert_array_equal(weights[path], other)


def test_a_batch_is_the_data_rooms():
    run = replace(SMALL, seed=4, stream=2, covariates="gamma")
    expected = in_context_regression(16, setting="gamma", seed=4, stream=2, step=9)
    for one, other in zip(system.batch(run, 9), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert expected[0].shape == (16, 21, 6)


def test_the_nonlinear_task_is_learnt_by_a_student_from_its_teachers_labels():
    run = replace(SMALL, covariates="network").filled()
    built, (x, y) = system.build(run), system.batch(run, 0)
    assert built.model.count_params() == 551
    expected = in_context_regression(16, features=network.teacher, seed=0, stream=0, step=0)
    np.testing.assert_array_equal(x, expected[0])
    np.testing.assert_array_equal(y, expected[1])
    student = network.student(0).get_weights()
    for one, other in zip(system.start(run).values(), student, strict=True):
        np.testing.assert_array_equal(one, other)


def test_softmax_attention_starts_where_linear_attention_does():
    run = replace(SMALL, activation="softmax")
    assert system.build(run).model.activation == "softmax"
    for path, other in system.start(SMALL).items():
        np.testing.assert_array_equal(system.start(run)[path], other)


# Measures


def snapshot(run):
    return Snapshot(run, system.build(run), 0, system.start(run), None)


def test_the_evaluation_loss_is_that_of_the_fixed_batch():
    look = snapshot(SMALL)
    x, y = in_context_regression(32, seed=99, stream=1_000_001)
    predicted = keras.ops.convert_to_numpy(look.model()(x))
    found = measures.evaluation_loss(look)
    np.testing.assert_allclose(found, np.mean((predicted - y) ** 2), rtol=1e-5)


def test_a_run_in_float64_is_measured_in_it():
    run = replace(SMALL, precision="float64")
    with backend.precision("float64"):
        look = snapshot(run)
        x, y = in_context_regression(32, seed=99, stream=1_000_001)
        assert {weight.dtype for weight in look.weights.values()} == {np.dtype("float64")}
        predicted = keras.ops.convert_to_numpy(look.model()(x.astype("float64")))
        assert predicted.dtype == "float64"
        found = measures.evaluation_loss(look)
    np.testing.assert_allclose(found, np.mean((predicted - y) ** 2), rtol=1e-12)
    assert found != measures.evaluation_loss(snapshot(SMALL))


def test_evaluation_batches_are_one_for_a_task_and_no_training_batch():
    one = measures._evaluation(SMALL, measures.EVALUATION_STREAMS[0])
    same = {
        "seed": 5,
        "stream": 3,
        "learning_rate": 1.0,
        "layers": 1,
        "optimizer": "sgdm",
        "batch": 7,
    }
    other = measures._evaluation(replace(SMALL, **same), measures.EVALUATION_STREAMS[0])
    np.testing.assert_array_equal(one[0], other[0])
    for change in ({"covariates": "sphere"}, {"context": 5}, {"evaluation_prompts": 33}):
        changed = measures._evaluation(replace(SMALL, **change), measures.EVALUATION_STREAMS[0])
        assert changed[0].shape != one[0].shape or not np.array_equal(changed[0], one[0])
    streams = {*measures.EVALUATION_STREAMS, measures.NOISE_STREAM, measures.REFERENCE_STREAM}
    assert len(streams) == 4 and min(streams) > 1000  # runs use stream 0, their controls 1


def test_noise_columns_look_at_the_same_gradients():
    run = Noise(batch=8, noise_batches=40, reference_factor=5).filled()
    look = snapshot(run)
    norms, matched = measures.noise(look)
    assert np.shape(norms) == np.shape(matched) == (40,)
    tail = measures.noise_tail(look)
    assert tail[0] == pytest.approx(np.quantile(norms, 0.999) / np.median(norms))
    assert tail[1] == pytest.approx(np.quantile(matched, 0.999) / np.median(matched))
    other = measures.noise(snapshot(replace(run, stream=1)))
    assert not np.array_equal(norms, other[0])  # the control has batches of its own
    assert np.array_equal(norms, measures.noise(snapshot(run))[0])


def test_gaussian_noise_has_the_tail_of_its_match():
    run = Noise(batch=8, noise_batches=2000, reference_factor=5, gaussian=True).filled()
    norms, matched = measures.noise(snapshot(run))
    assert not np.array_equal(norms, matched)
    data = measures.noise(snapshot(replace(run, gaussian=False)))[0]
    np.testing.assert_allclose(np.mean(norms**2), np.mean(data**2), rtol=0.2)
    tail, own = measures.noise_tail(snapshot(run))[:2]
    assert tail == pytest.approx(own, rel=0.15)


def test_the_path_is_the_gradient_norm_and_the_curvature_of_the_step():
    built = system.build(SMALL)
    after = {path: weight + 0.01 for path, weight in system.start(SMALL).items()}
    look = Snapshot(SMALL, built, 0, system.start(SMALL), lambda: after)
    length, along = measures.smoothness_path(look)
    assert length == pytest.approx(measures.smoothness(look)[0])
    assert along == pytest.approx(measures.directional_smoothness(look))
    assert measures.condition_path(look) == pytest.approx(measures.condition(look)[0])


@pytest.mark.parametrize("optimizer", ["sgdm", "adam"])
def test_runs_that_diverge_can_be_measured_all_the_way(optimizer):
    # Weights may be finite where the loss, its derivatives or the next step no longer are.
    runs = [
        replace(SMALL, learning_rate=learning_rate, clipnorm=1e30, optimizer=optimizer)
        for learning_rate in (3.0, 1e4, 1e38)
    ]
    times = (0, 1, 2, 3, 6, 11)
    watch = {name: times for name in ("loss", "skipped", *measures.MEASURES) if "noise" not in name}
    last = {}

    def keep(place, step, weights):
        last[place] = weights
        return ""

    members = [Member(run, watch, keep=(run.steps,)) for run in runs]
    outcomes = train(members, system.build(runs[0]), measures.MEASURES, keep=keep)
    for place, columns in enumerate(outcome.columns for outcome in outcomes):
        assert {len(values) for _, values in columns.values()} == {len(times)}
        first = {name: values[0] for name, (_, values) in columns.items()}
        assert first["condition"].shape == (2,) and first["condition"].min() >= 1
        gradient_norm, spectral_norm = first["smoothness"]
        assert gradient_norm > 0
        assert not abs(first["directional_smoothness"]) > 1.001 * spectral_norm  # nan: no step
        weights = next(iter(last[place].values()))
        skipped, finite = columns["skipped"][1][-1], np.isfinite(weights).all()
        assert finite or optimizer == "sgdm"  # Adam's steps are bounded
        assert skipped or finite
