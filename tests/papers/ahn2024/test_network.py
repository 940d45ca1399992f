"""The nonlinear task of Ahn et al. (2024), Appendix B, against the formulas in float64 NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn import autodiff, diagnostics
from wdattn.data import in_context_regression
from wdattn.optimizers import Update
from wdattn.optimizers.update_rules import SGD
from wdattn.papers.ahn2024.network import student, teacher
from wdattn.replicas import Replicas, weights_by_path

SHAPES = [(5, 30), (30,), (30, 5), (5,), *[(6, 6)] * 6]


def mean_square(y_true, y_pred):
    return ops.sum(ops.square(y_pred - y_true)) / y_true.shape[0]


def perceptron(x, kernel, bias, out_kernel, out_bias):
    return np.maximum(x @ kernel + bias, 0) @ out_kernel + out_bias


def literal(prompts, weights):
    """The student, every score formed, float64 NumPy: P and Q of each layer stand last."""
    weights = [weight.astype("float64") for weight in weights]
    z = np.concatenate([perceptron(prompts[..., :-1], *weights[:4]), prompts[..., -1:]], axis=-1)
    n = z.shape[1] - 1
    mask = np.diag([1.0] * n + [0.0])
    for value, key_query in zip(weights[4::2], weights[5::2], strict=True):
        columns = z.swapaxes(1, 2)
        update = value @ columns @ mask @ (z @ key_query @ columns) / n
        z = z + update.swapaxes(1, 2)
    return -z[:, -1, -1:]


@pytest.fixture
def double():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


def task(batch=16, **kwargs):
    return [
        part.astype("float64") for part in in_context_regression(batch, features=teacher, **kwargs)
    ]


def wide(seed=0):
    """A student away from its start, so that attention has a say in the prediction."""
    model, rng = student(seed), np.random.default_rng(seed)
    model.set_weights([rng.normal(scale=0.25, size=shape) for shape in SHAPES])
    return model


def near(found, wanted, tolerance, scale=None):
    """Float32 accuracy even in float64: `keras.ops.matmul`, in Dense, rounds it on PyTorch."""
    scale = np.abs(wanted).max() if scale is None else scale
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=0.1 * tolerance * scale)


def flat(tensors):
    return np.concatenate([ops.convert_to_numpy(tensor).ravel() for tensor in tensors])


def test_teacher_is_the_network_of_numpys_seed_7():
    generator = np.random.default_rng(7)
    limits = [(5**-0.5, (5, 10)), (5**-0.5, (10,)), (10**-0.5, (10, 5)), (10**-0.5, (5,))]
    weights = [generator.uniform(-limit, limit, shape) for limit, shape in limits]
    x = np.random.default_rng(0).normal(size=(4, 3, 5))
    wanted = perceptron(x, *weights)
    np.testing.assert_allclose(teacher(x), wanted, rtol=1e-12, atol=1e-14)
    single = teacher(x.astype("float32"))
    assert single.dtype == np.float32 and single.shape == x.shape
    np.testing.assert_allclose(single, wanted, rtol=1e-5, atol=1e-6)


def test_teacher_has_golden_values_and_treats_each_token_alone():
    x = np.linspace(-1, 1, 10, dtype="float32").reshape(2, 5)
    np.testing.assert_array_equal(teacher(x).ravel(), np.array(GOLDEN, "float32"))
    np.testing.assert_array_equal(teacher(x[1]), teacher(x)[1])


GOLDEN = """
    0.08507617 0.55173904 -0.121487275 0.28618222 -0.44770333
    0.36152858 0.35297167 -0.23390418 0.27346516 -0.13189436
""".split()


@pytest.mark.parametrize("x", [np.ones((4, 10)), np.ones(()), np.ones((4, 5), int)])
def test_teacher_takes_five_covariates(x):
    with pytest.raises(ValueError, match="`x` must be a float array"):
        teacher(x)


def test_teacher_is_not_linear():
    x = np.random.default_rng(0).normal(size=(1000, 5))
    design = np.concatenate([x, np.ones((1000, 1))], axis=1)
    fitted = design @ np.linalg.lstsq(design, teacher(x), rcond=None)[0]
    left = np.var(teacher(x) - fitted) / np.var(teacher(x))
    assert 0.02 < left < 0.5


def test_551_parameters_with_stable_names():
    model = student(0)
    assert model.count_params() == 551 and model.built
    assert [tuple(weight.shape) for weight in model.trainable_variables] == SHAPES
    assert [variable.path for variable in model.weights] == [
        *[f"{layer}/{name}" for layer in ("hidden", "features") for name in ("kernel", "bias")],
        *[
            f"transformer/attention_{layer}/{name}"
            for layer in range(3)
            for name in ("value", "key_query")
        ],
    ]
    assert [variable.path for variable in student(1).weights] == [v.path for v in model.weights]


def test_one_seed_one_start_and_no_shared_draws():
    one, again, other = (student(seed).get_weights() for seed in (4, 4, 5))
    assert all(map(np.array_equal, one, again))
    assert len({weight.tobytes() for weight in [*one, *other]}) == 2 * len(SHAPES)
    assert not any(map(np.array_equal, student(None).get_weights(), one))


def test_start_has_the_laws_of_the_paper():
    starts = [student(seed).get_weights() for seed in range(10)]
    entries = np.concatenate([matrix.ravel() for start in starts for matrix in start[4:]])
    assert abs(entries.std() - 0.1) < 5 * 0.1 / np.sqrt(2 * entries.size)
    for place, limit in enumerate([5**-0.5, 5**-0.5, 30**-0.5, 30**-0.5]):
        entries = np.concatenate([start[place].ravel() for start in starts]) / limit
        assert 0.9 < np.abs(entries).max() <= 1 + 1e-6  # float32
        error = np.sqrt((1 / 5 - 1 / 9) / entries.size)
        assert abs(np.mean(entries**2) - 1 / 3) < 5 * error


def test_golden_start():
    weights = student(3).get_weights()
    found = [float(weight.ravel()[0]) for weight in weights[:5]]
    np.testing.assert_array_equal(found, np.array(START, "float32"))


START = [0.02914257, 0.27285713, -0.016883362, 0.16522272, 0.19768745]


def test_student_predicts_in_float32():
    model, (x, _) = wide(), task()
    found = ops.convert_to_numpy(model(x))
    assert found.dtype == np.float32 and found.shape == (16, 1)
    near(found, literal(x, model.get_weights()), 1e-4)


@pytest.mark.parametrize("n", [1, 20])
def test_student_equals_the_literal_formula(double, n):
    model, (x, _) = wide(), task(context=n)
    wanted = literal(x, model.get_weights())
    assert wanted.std() > 0.1
    near(ops.convert_to_numpy(model(x)), wanted, 1e-5)
    transposed = [w.T if w.shape == (6, 6) else w for w in model.get_weights()]
    assert np.abs(literal(x, transposed) - wanted).max() > 0.01  # P and Q are not symmetric


def test_gradient_against_central_differences(double, rng):
    model, (x, y) = wide(), task()
    weights = model.get_weights()
    direction = [rng.normal(size=shape) for shape in SHAPES]

    def value(step):
        moved = [w + step * d for w, d in zip(weights, direction, strict=True)]
        return np.mean((literal(x, moved) - y) ** 2)

    slope = (value(1e-6) - value(-1e-6)) / 2e-6
    gradient = autodiff.value_and_grad(
        lambda x, y: mean_square(y, model(x)), model.trainable_variables
    )
    along = np.concatenate([part.ravel() for part in direction])
    near(flat(gradient(x, y)[1]) @ along, slope, 1e-5)


def test_condition_number_is_that_of_second_differences(double):
    model, (x, y) = wide(), task(8)
    found = diagnostics.condition_number(model, x, y, mean_square)
    assert found.diagonal.shape == (551,) and np.isfinite(found.value)
    weights = model.get_weights()
    ends = np.cumsum([weight.size for weight in weights])
    row = np.concatenate([weight.ravel() for weight in weights])

    def value(entry, step):
        moved = row.copy()
        moved[entry] += step
        parts = [p.reshape(s) for p, s in zip(np.split(moved, ends[:-1]), SHAPES, strict=True)]
        return np.mean((literal(x, parts) - y) ** 2)

    for entry in (3, 160, 200, 333, 340, 400, 550):  # kernels, biases, P and Q
        wanted = (value(entry, 1e-4) - 2 * value(entry, 0) + value(entry, -1e-4)) / 1e-8
        near(found.diagonal[entry], wanted, 1e-4, np.abs(found.diagonal).max())


def test_a_stacked_run_equals_a_single_one():
    starts = [weights_by_path(student(seed)) for seed in range(3)]
    batches = [in_context_regression(32, features=teacher, seed=seed) for seed in range(3)]
    x, y = map(np.stack, zip(*batches, strict=True))
    update = Update(SGD(momentum=0.9), 0.05, clipnorm=1.0)
    stacked = Replicas(student(0), mean_square, update, starts)
    for _ in range(3):
        losses = np.asarray(stacked.step(x, y))
    single = Replicas(student(0), mean_square, update, starts[1:2])
    for _ in range(3):
        loss = np.asarray(single.step(x[1:2], y[1:2]))
    np.testing.assert_allclose(losses[1], loss[0], rtol=1e-5)
    for path, one in stacked.weights(1).items():
        other, start = single.weights(0)[path], starts[1][path]
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)  # float32, another order
        assert np.abs(one - start).max() > 1e-4


def test_first_losses_of_a_run_are_those_of_its_start():
    x, y = in_context_regression(32, features=teacher)
    start = weights_by_path(student(2))
    replicas = Replicas(student(0), mean_square, Update(SGD(0.9), 0.05), [start])
    wanted = np.mean((literal(x, list(start.values())) - y) ** 2)
    np.testing.assert_allclose(np.asarray(replicas.step(x[None], y[None])), wanted, rtol=1e-5)


def test_saved_and_loaded(tmp_path):
    model, (x, _) = wide(), task()
    model.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras")
    assert [v.path for v in loaded.weights] == [v.path for v in model.weights]
    before, after = (ops.convert_to_numpy(each(x)) for each in (model, loaded))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("seed", [-1, 0.5, "7", 2**32])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match="`seed` must be"):
        student(seed)
