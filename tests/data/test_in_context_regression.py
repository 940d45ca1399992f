import inspect

import numpy as np
import pytest

from wdattn.data import in_context_regression

SETTINGS = ("normal", "gamma", "sphere")


def squared_norms(prompts):
    return np.sum(prompts[..., :-1].astype("float64") ** 2, axis=-1)


@pytest.mark.parametrize("setting", SETTINGS)
def test_shapes_dtype_and_the_query_label(setting):
    prompts, labels = in_context_regression(7, setting=setting, dim=3, context=4)
    assert prompts.shape == (7, 5, 4) and labels.shape == (7, 1)
    assert prompts.dtype == labels.dtype == np.float32
    assert np.all(prompts[:, -1, -1] == 0)
    assert np.all(prompts[:, :-1, -1] != 0) and np.all(labels != 0)


@pytest.mark.parametrize(
    ("setting", "mean", "variance"), [("normal", 5, 10), ("gamma", 1, 10), ("sphere", 1, 0)]
)
def test_law_of_the_squared_norm(setting, mean, variance):
    """Ahn et al., Table 1: Var |x|^2 is 10 in Settings 1 and 3, the mean is 5 and 1."""
    norms = squared_norms(in_context_regression(20_000, setting=setting)[0])  # 420 000 draws
    # Five standard errors; the fourth cumulant of Gamma(0.1, 10) is 6 * 0.1 * 10^4.
    spread = np.sqrt(variance / norms.size)
    assert abs(norms.mean() - mean) <= 5 * spread + 1e-6
    excess = {"normal": 6 * 2.5 * 2**4, "gamma": 6 * 0.1 * 10**4, "sphere": 0}[setting]
    assert (
        abs(norms.var() - variance) <= 5 * np.sqrt((2 * variance**2 + excess) / norms.size) + 1e-9
    )


def test_gamma_has_the_shape_0_1_and_a_draw_for_each_token():
    """P(|x|^2 <= t) of Gamma(0.1, scale 10), at its 20 % and 50 % points and at t = 10."""
    norms = squared_norms(in_context_regression(20_000, setting="gamma", seed=5)[0])
    stats = pytest.importorskip("scipy.stats")
    law = stats.gamma(a=0.1, scale=10.0)
    for threshold in (law.ppf(0.2), law.ppf(0.5), 10.0):
        share = law.cdf(threshold)
        tolerance = 5 * np.sqrt(share * (1 - share) / norms.size)
        assert abs(np.mean(norms <= threshold) - share) < tolerance
    # One draw a prompt would make these columns equal: the query is a draw of its own too.
    ranks = stats.spearmanr(norms[:, 0], norms[:, -1]).statistic
    assert abs(ranks) < 5 / np.sqrt(len(norms))


@pytest.mark.parametrize("setting", SETTINGS)
def test_directions_are_uniform(setting):
    x = in_context_regression(4_000, setting=setting)[0][..., :-1].reshape(-1, 5).astype("float64")
    unit = x / np.linalg.norm(x, axis=-1, keepdims=True)
    error = 1 / np.sqrt(len(unit))
    np.testing.assert_allclose(unit.mean(0), 0, atol=5 * error)
    np.testing.assert_allclose(unit.T @ unit / len(unit), np.eye(5) / 5, atol=5 * error)


def test_sphere_has_unit_norms_even_in_one_dimension():
    for dim in (1, 2, 5):
        x = in_context_regression(500, setting="sphere", dim=dim)[0][..., :-1]
        np.testing.assert_allclose(np.linalg.norm(x, axis=-1), 1, rtol=1e-6)  # float32 rounding


@pytest.mark.parametrize("setting", SETTINGS)
def test_labels_are_linear_without_noise(setting):
    """Least squares on the context finds the task, and the task gives the query's label."""
    prompts, labels = (
        part.astype("float64") for part in in_context_regression(200, setting=setting, context=40)
    )
    for prompt, label in zip(prompts, labels, strict=True):
        x, y = prompt[:-1, :-1], prompt[:-1, -1]
        task, *_ = np.linalg.lstsq(x, y, rcond=None)
        scale = np.linalg.norm(task)
        # float32 labels, and tiny covariates in the gamma setting: relative to each token's size.
        size = np.linalg.norm(x, axis=-1) * scale
        np.testing.assert_array_less(np.abs(x @ task - y), 1e-6 * size + 1e-30)
        assert abs(prompt[-1, :-1] @ task - label[0]) < 1e-4 * np.linalg.norm(prompt[-1]) * scale


def test_tasks_are_standard_normal_and_one_for_each_prompt():
    prompts, _ = in_context_regression(20_000, context=6)
    x, y = prompts[:, :5, :-1].astype("float64"), prompts[:, :5, -1:].astype("float64")
    well = np.abs(np.linalg.det(x)) > 0.5  # solvable without losing digits; says nothing about w
    tasks = np.linalg.solve(x[well], y[well])[..., 0]
    error = 1 / np.sqrt(len(tasks))
    np.testing.assert_allclose(tasks.mean(0), 0, atol=5 * error)
    np.testing.assert_allclose(np.cov(tasks.T), np.eye(5), atol=5 * np.sqrt(2) * error)


ARGUMENTS = {"setting": "gamma", "dim": 3, "context": 4, "seed": 5, "stream": 6, "step": 7}


def test_same_arguments_same_bits_whatever_was_drawn_before():
    before = np.random.get_state()  # noqa: NPY002  the global state is what must stay as it is
    first = in_context_regression(9, **ARGUMENTS)
    in_context_regression(3)
    second = in_context_regression(9, **ARGUMENTS)
    after = np.random.get_state()  # noqa: NPY002
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(before[1], after[1]) and before[2:] == after[2:]


@pytest.mark.parametrize("name", ["seed", "stream", "step"])
def test_seed_stream_and_step_give_other_batches(name):
    base = in_context_regression(200, seed=1, stream=2, step=3)[0]
    for value in (0, 4, 2**32 - 1):
        other = in_context_regression(200, **{"seed": 1, "stream": 2, "step": 3, name: value})[0]
        correlation = np.corrcoef(base[..., :-1].ravel(), other[..., :-1].ravel())[0, 1]
        assert abs(correlation) < 5 / np.sqrt(200 * 21 * 5)


def test_places_of_the_seed_are_not_interchangeable():
    triples = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 0, 0)]
    labels = {
        in_context_regression(1, seed=a, stream=b, step=c)[1].tobytes() for a, b, c in triples
    }
    assert len(labels) == len(triples)


GOLDEN = {
    "normal": """
        -0.20898816 -0.71334827 -0.9522249 -0.9504999 -1.4044017 0.0
        -1.2027956 0.12015533 1.0203422 -1.261167 1.0512214 0.0
        -2.185637 0.81082654
    """,
    "gamma": """
        0.013479578 0.15100911 0.18383276 -0.07406556 -0.14121407 0.0
        0.28194487 -0.09588553 -0.22021711 0.02713105 0.07801919 0.0
        -0.20736134 -0.04561688
    """,
    "sphere": """
        -0.28115067 -0.9596636 -1.2810231 -0.56049687 -0.82815653 0.0
        -0.9950474 0.09940196 0.8441075 -0.7681467 0.64027387 0.0
        -1.2888404 0.49385506
    """,
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_golden_values(setting):
    """Two prompts and the labels. A changed stream would make stored records incomparable."""
    prompts, labels = in_context_regression(2, setting=setting, dim=2, context=1, **SEEDS)
    found = [*prompts.ravel().tolist(), *labels.ravel().tolist()]
    np.testing.assert_array_equal(np.float32(found), np.float32(GOLDEN[setting].split()))


SEEDS = {"seed": 3, "stream": 1, "step": 1000}

BAD = [
    *[("batch_size", value) for value in (0, -1, 2.0, True, "8", None, 2**32)],
    *[("dim", value) for value in (0, 2.5, True)],
    *[("context", value) for value in (0, -3, 1.0)],
    *[(name, value) for name in ("seed", "stream", "step") for value in (-1, 0.0, 2**32, None)],
    *[("setting", value) for value in ("Normal", "cauchy", None, ["normal"])],
    *[("features", value) for value in ("relu", 1)],
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_arguments(name, value):
    with pytest.raises(ValueError) as error:
        in_context_regression(**{"batch_size": 8, name: value})
    assert f"`{name}` must be" in str(error.value) and repr(value) in str(error.value)


def test_every_argument_has_a_bad_value():
    assert {name for name, _ in BAD} == set(inspect.signature(in_context_regression).parameters)


def test_numpy_integers_are_integers():
    one = in_context_regression(np.int64(4), dim=np.int32(3), seed=np.uint32(7), step=np.int16(2))
    other = in_context_regression(4, dim=3, seed=7, step=2)
    assert np.array_equal(one[0], other[0])


def squares(x):
    return x**2 - np.roll(x, 1, axis=-1)


@pytest.mark.parametrize("setting", SETTINGS)
def test_labels_are_linear_in_the_features(setting):
    """The tokens show x, and the labels are <w, g(x)> with the task of the same batch without g."""
    arguments = {"setting": setting, "dim": 3, "context": 6, "seed": 2}
    plain, _ = in_context_regression(50, **arguments)
    prompts, labels = in_context_regression(50, **arguments, features=squares)
    assert prompts.dtype == labels.dtype == np.float32
    np.testing.assert_array_equal(prompts[..., :-1], plain[..., :-1])
    assert np.all(prompts[:, -1, -1] == 0) and not np.array_equal(prompts, plain)
    exact = plain.astype("float64")
    for prompt, shown, label in zip(exact, prompts.astype("float64"), labels[:, 0], strict=True):
        task, *_ = np.linalg.lstsq(prompt[:-1, :-1], prompt[:-1, -1], rcond=None)
        wanted = squares(prompt[:, :-1]) @ task
        size = 1e-4 * np.linalg.norm(task) * np.linalg.norm(squares(prompt[:, :-1]), axis=-1)
        np.testing.assert_array_less(np.abs(shown[:-1, -1] - wanted[:-1]), size[:-1] + 1e-30)
        assert abs(label - wanted[-1]) < size[-1]


def test_the_identity_as_features_changes_no_bit():
    one, other = (
        in_context_regression(9, **ARGUMENTS, features=np.copy),
        in_context_regression(9, **ARGUMENTS),
    )
    assert all(map(np.array_equal, one, other))


def test_features_see_float32_covariates_and_keep_their_shape():
    seen = []
    in_context_regression(4, dim=3, context=6, features=lambda x: seen.append(x) or x)
    assert seen[0].shape == (4, 7, 3) and seen[0].dtype == np.float32
    with pytest.raises(ValueError, match=r"`features` must return .* \(4, 7, 3\) .* \(4, 7, 2\)"):
        in_context_regression(4, dim=3, context=6, features=lambda x: x[..., 1:])


def test_labels_are_float32_whatever_the_features_are():
    _, labels = in_context_regression(4, features=lambda x: x.astype("float64"))
    assert labels.dtype == np.float32
