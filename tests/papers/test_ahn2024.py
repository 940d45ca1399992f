"""What the fact sheet of Ahn et al. (2024) fixes: rates, rules, starts, batches, measures, ends."""

import math
from dataclasses import replace

import keras
import numpy as np
import pytest

from wdattn.data import in_context_regression
from wdattn.papers import lookup
from wdattn.papers.ahn2024 import claims, measures, system
from wdattn.papers.ahn2024.experiments import ADAM, BASE, GAMMA, NOISE, SGDM, SPHERE
from wdattn.papers.ahn2024.settings import Noise, Regression
from wdattn.reproduction import Moment, Record
from wdattn.reproduction.training import Member, train

PAPER = lookup("ahn2024")
SMALL = Regression(batch=16, steps=12, evaluation_prompts=32).filled()


@pytest.mark.parametrize(
    ("changes", "lr", "clip"),
    [
        (SGDM, 0.02, 1.0),
        (ADAM, 0.02, 1.0),
        (SGDM | {"context": 5}, 0.01, 1.0),
        (ADAM | {"context": 5}, 0.005, 1.0),
        (SGDM | GAMMA, 0.02, 1.0),
        (ADAM | GAMMA, 0.02, 1.0),
        (SGDM | SPHERE, 5.0, 0.1),
        (ADAM | SPHERE, 0.1, 0.1),
        (ADAM | {"lr": 0.3, "clip": 0.2}, 0.3, 0.2),
    ],
)
def test_rates_and_clipping_norms_are_the_authors(changes, lr, clip):
    run = BASE.run("paper", changes, 0)
    assert (run.lr, run.clip) == (lr, clip)


def test_a_setting_without_a_rate_of_the_authors_raises_and_lists():
    with pytest.raises(
        ValueError, match=r"`lr` must be given for \('gamma', 5, 'adam'\); .*sphere"
    ):
        Regression(setting="gamma", context=5).filled()


def test_the_papers_values_are_the_defaults():
    run = BASE.run("paper", {}, 3)
    assert (run.layers, run.dim, run.context, run.batch, run.steps) == (3, 5, 20, 1000, 10_000)
    assert run.decay == 0 and run.evaluation_prompts == 1000
    assert NOISE.run("paper", {}, 0).noise_batches == 10_000
    assert NOISE.run("paper", {}, 0).reference_factor == 100


def test_laptop_scale_is_the_sheets():
    assert [len(BASE.scale(name).seed_list()) for name in ("smoke", "laptop", "paper")] == [2, 6, 6]
    run = BASE.run("laptop", {}, 0)
    assert (run.batch, run.steps, run.layers) == (256, 1300, 3)
    probe = NOISE.run("laptop", {}, 0)
    assert (probe.batch, probe.noise_batches, probe.steps) == (256, 3000, 0)
    assert len(NOISE.scale("laptop").seed_list()) == 5


@pytest.mark.parametrize("scale", ["laptop", "paper"])
def test_what_is_watched_is_the_sheets(scale):
    steps = BASE.run(scale, {}, 0).steps
    assert BASE.times(scale, "condition", steps) == (750, 1250)
    assert BASE.times(scale, "loss", steps) == tuple(range(steps - 100, steps))
    assert BASE.times(scale, "directional_smoothness", steps) == tuple(range(100, 1251, 25))
    smoothness = BASE.times(scale, "smoothness", steps)
    assert smoothness[:4] == (1, 7, 13, 19) and smoothness[-2:] == (1060, 1160)
    assert BASE.times(scale, "evaluation_loss", steps)[:3] == (0, 50, 100)


@pytest.mark.parametrize(
    ("name", "low", "removed"),
    [
        (
            "C1",
            math.log(2),
            ({"optimizer": "sgdm", "layers": 1}, {"optimizer": "adam", "layers": 1}),
        ),
        ("C5", math.log(1.5), ({"setting": "sphere", "stream": 1}, {"setting": "sphere"})),
        ("C6", math.log(1.17), ({"optimizer": "adam", "stream": 1}, {"optimizer": "adam"})),
        (
            "C10",
            math.log(2),
            ({"optimizer": "sgdm", "layers": 1}, {"optimizer": "adam", "layers": 1}),
        ),
        ("C11", 0.2, ({"optimizer": "adam", "layers": 1},)),
    ],
)
def test_thresholds_and_controls_are_the_sheets(name, low, removed):
    claim = PAPER.claim(name)
    (part,) = claim.parts()
    assert part.low == pytest.approx(low) and part.high == math.inf
    assert claim.parts(control=True)[0].effect.arms == removed


def test_the_headline_is_the_issues():
    assert PAPER.headline == ("C1", "C5", "C6", "C10", "C11")


# Reductions


def record(column, values):
    values = np.asarray(values, "float64")
    return Record(SMALL, {column: (np.arange(len(values)), values)})


def test_reductions():
    assert claims.end_loss(record("loss", [1, 1e9, 2])) == pytest.approx(math.log(2))
    condition = record("condition", [[1, math.e], [math.e**2, math.e**3]])
    assert claims.condition(condition) == pytest.approx(1.5)
    along = record("directional_smoothness", [-4, 1, 2])
    assert claims.directional_smoothness(along) == pytest.approx(math.log(2))
    gradient = np.array([0.1, 1.0, 3.0])
    smooth = record("smoothness", np.stack([gradient, 5 * gradient**0.7], 1))
    assert claims.smoothness_slope(smooth) == pytest.approx(0.7)
    assert claims.noise_tail(record("noise_tail", [[3, 1, 0, 0, 9]])) == pytest.approx(math.log(3))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_reductions_pass_nan_on():
    cell = {"condition": [math.nan] * 2, "smoothness": [math.nan] * 2, "noise_tail": [math.nan] * 5}
    for claim in PAPER.claims:
        (part,) = claim.parts()
        (column,) = claim.columns()
        values = [cell.get(column, math.nan), np.ones_like(cell.get(column, 1.0))]
        reduced = part.effect.reduction(record(column, values))
        assert math.isnan(reduced), claim.id


# The system


def test_the_update_rules_are_the_notebooks():
    adam, sgdm = (system.build(BASE.run("smoke", arm, 0)).rule for arm in (ADAM, SGDM))
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
    assert sum(weight.size for weight in weights) == 150
    many = np.concatenate(
        [w.ravel() for seed in range(40) for w in system.start(replace(SMALL, seed=seed))]
    )
    assert abs(many.mean()) < 4 * 0.05 / math.sqrt(many.size)
    assert abs(many.std() / 0.05 - 1) < 4 / math.sqrt(2 * many.size)
    for change in ({"optimizer": "sgdm"}, {"lr": 1.0}, {"stream": 1}, {"setting": "sphere"}):
        for one, other in zip(weights, system.start(replace(SMALL, **change)), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_batch_is_the_data_rooms():
    run = replace(SMALL, seed=4, stream=2, setting="gamma")
    expected = in_context_regression(16, setting="gamma", seed=4, stream=2, step=9)
    for one, other in zip(system.batch(run, 9), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert expected[0].shape == (16, 21, 6)


# Measures


def moment(run):
    return Moment(run, system.build(run), 0, system.start(run), None)


def test_the_evaluation_loss_is_that_of_the_fixed_batch():
    look = moment(SMALL)
    x, y = in_context_regression(32, seed=99, stream=1_000_001)
    predicted = keras.ops.convert_to_numpy(look.model()(x))
    found = measures.evaluation_loss(look)
    np.testing.assert_allclose(found, np.mean((predicted - y) ** 2), rtol=1e-5)


def test_evaluation_batches_are_one_for_a_task_and_no_training_batch():
    one = measures._evaluation(SMALL, measures.EVALUATION_STREAMS[0])
    same = {"seed": 5, "stream": 3, "lr": 1.0, "layers": 1, "optimizer": "sgdm", "batch": 7}
    other = measures._evaluation(replace(SMALL, **same), measures.EVALUATION_STREAMS[0])
    np.testing.assert_array_equal(one[0], other[0])
    for change in ({"setting": "sphere"}, {"context": 5}, {"evaluation_prompts": 33}):
        changed = measures._evaluation(replace(SMALL, **change), measures.EVALUATION_STREAMS[0])
        assert changed[0].shape != one[0].shape or not np.array_equal(changed[0], one[0])
    streams = {*measures.EVALUATION_STREAMS, measures.NOISE_STREAM, measures.REFERENCE_STREAM}
    assert len(streams) == 4 and min(streams) > 1000  # runs use stream 0, their controls 1


def test_noise_columns_look_at_the_same_gradients():
    run = Noise(batch=8, noise_batches=40, reference_factor=5).filled()
    look = moment(run)
    norms, matched = measures.noise(look)
    assert np.shape(norms) == np.shape(matched) == (40,)
    tail = measures.noise_tail(look)
    assert tail[0] == pytest.approx(np.quantile(norms, 0.999) / np.median(norms))
    assert tail[1] == pytest.approx(np.quantile(matched, 0.999) / np.median(matched))
    other = measures.noise(moment(replace(run, stream=1)))
    assert not np.array_equal(norms, other[0])  # the control has batches of its own
    assert np.array_equal(norms, measures.noise(moment(run))[0])


@pytest.mark.parametrize("optimizer", ["sgdm", "adam"])
def test_runs_that_diverge_can_be_measured_all_the_way(optimizer):
    # Weights may be finite where the loss, its derivatives or the next step no longer are.
    runs = [replace(SMALL, lr=lr, clip=1e30, optimizer=optimizer) for lr in (3.0, 1e4, 1e38)]
    times = (0, 1, 2, 3, 6, 11)
    watch = {name: times for name in ("loss", *measures.MEASURES) if "noise" not in name}
    members = [Member(run, watch) for run in runs]
    for columns, weights in train(members, system.build(runs[0]), measures.MEASURES):
        assert {len(values) for _, values in columns.values()} == {len(times)}
        first = {name: values[0] for name, (_, values) in columns.items()}
        assert first["condition"].shape == (2,) and first["condition"].min() >= 1
        gradient_norm, spectral_norm = first["smoothness"]
        assert gradient_norm > 0
        assert not abs(first["directional_smoothness"]) > 1.001 * spectral_norm  # nan: no step
        assert not (optimizer == "sgdm" and np.isfinite(weights[0]).any())
