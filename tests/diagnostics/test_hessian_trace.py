import keras
import numpy as np
import pytest

from wdattn.diagnostics import hessian_trace


def test_a_diagonal_hessian_is_exact(linear):
    def saddle(
        y_true, y_pred
    ):  # at x = I the outputs are the weights: the Hessian is diag(1, -3, 0)
        return keras.ops.sum(y_true * y_pred**2) / 2

    found = hessian_trace(linear, np.eye(3), np.array([[1.0], [-3.0], [0.0]]), saddle, probes=3)
    assert found.value == pytest.approx(-2, rel=1e-12)
    assert found.standard_error == pytest.approx(0, abs=1e-12)
    assert list(found.by_group.values()) == pytest.approx([-2], rel=1e-12)


def test_the_error_is_that_of_rademacher_probes(linear, rng, squared):
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(7, 1))
    hessian = 2 * x.T @ x / 7
    found = hessian_trace(linear, x, y, squared, probes=400)
    # The variance of a probe is twice the sum of the squared off-diagonal entries; Gaussian probes
    # would add the diagonal's. 400 probes tell it to about 5 %.
    off_diagonal = hessian - np.diag(np.diag(hessian))
    expected = np.sqrt(2 * (off_diagonal**2).sum() / 400)
    assert found.standard_error == pytest.approx(expected, rel=0.15)
    assert found.value == pytest.approx(np.trace(hessian), abs=4 * expected)


def test_images_may_be_resized_before_the_first_weight(rng, squared):
    """No derivative passes through that resize, which has no second one on TensorFlow."""
    images, y = rng.normal(size=(4, 3, 5, 1)).astype("float32"), rng.normal(size=(4, 1))
    inputs = keras.Input((3, 5, 1))
    resize = keras.layers.Resizing(2, 3)
    outputs = keras.layers.Dense(1, use_bias=False)(keras.layers.Flatten()(resize(inputs)))
    model = keras.Model(inputs, outputs)
    x = keras.ops.convert_to_numpy(resize(images)).reshape(4, 6).astype("float64")
    found = hessian_trace(model, images, y, squared, probes=40, seed=3)
    probes = np.random.default_rng(3).choice([-1.0, 1.0], (40, 6))
    expected = np.mean(np.sum(probes * (probes @ (2 * x.T @ x / 4)), axis=1))
    assert found.value == pytest.approx(expected, rel=1e-4)


# After `fit` TensorFlow has traced the layers before, with its own moments.
@pytest.mark.parametrize(("name", "trained"), [("stock", True), ("transformer", False)])
def test_equals_the_dense_hessian_on_the_same_probes(
    name, trained, request, dense_hessian, squared
):
    model, x, y = request.getfixturevalue(name)
    if trained:
        model.compile("sgd", squared)
        model.fit(x, y, verbose=0)
    hessian = dense_hessian(model, x, y)
    close = {"stock": 1e-4, "transformer": 1e-7}[name] * np.abs(hessian).max() * len(hessian)
    rng = np.random.default_rng(7)
    probes = np.stack([rng.choice([-1.0, 1.0], len(hessian)) for _ in range(5)])
    found = hessian_trace(model, x, y, squared, probes=5, seed=7)
    draws = probes * (probes @ hessian)
    whole = draws.sum(1)
    assert found.value == pytest.approx(whole.mean(), abs=close)
    assert found.standard_error == pytest.approx(whole.std(ddof=1) / 5**0.5, abs=close)
    start = 0
    blocks = {}
    for variable in model.trainable_variables:
        stop = start + int(np.prod(variable.shape))
        layer = variable.path.rpartition("/")[0]
        blocks[layer] = blocks.get(layer, 0) + draws[:, start:stop].sum(1)
        start = stop
    assert found.by_group == pytest.approx({k: v.mean() for k, v in blocks.items()}, abs=close)
    errors = {k: v.std(ddof=1) / 5**0.5 for k, v in blocks.items()}
    assert found.standard_error_by_group == pytest.approx(errors, abs=close)


def test_a_group_has_the_trace_of_its_block(transformer, dense_hessian, squared):
    model, x, y = transformer
    hessian = np.diag(dense_hessian(model, x, y))
    sizes = [int(np.prod(variable.shape)) for variable in model.trainable_variables]
    values = ["value" in variable.path for variable in model.trainable_variables]
    inside = np.repeat(values, sizes)
    groups = {"values": "value", "rest": ""}
    found = hessian_trace(model, x, y, squared, probes=300, groups=groups)
    expected = {"values": hessian[inside].sum(), "rest": hessian[~inside].sum()}
    for name, error in found.standard_error_by_group.items():
        assert found.by_group[name] == pytest.approx(expected[name], abs=4 * error)
    assert sum(found.by_group.values()) == pytest.approx(found.value, rel=1e-12)


def test_through_batch_and_group_normalisation(rng, dense_hessian, squared):
    options = {"dtype": "float64"}
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="float64"),
            keras.layers.GroupNormalization(2, epsilon=0.1, **options),
            keras.layers.BatchNormalization(**options),
            keras.layers.Dense(1, **options),
        ]
    )
    model.set_weights([rng.uniform(0.5, 1.5, size=weight.shape) for weight in model.weights])
    x, y = rng.normal(size=(6, 4)), rng.normal(size=(6, 1))
    hessian = dense_hessian(model, x, y)
    probe = np.random.default_rng(0)
    probes = np.stack([probe.choice([-1.0, 1.0], len(hessian)) for _ in range(2)])
    expected = np.mean([v @ hessian @ v for v in probes])
    # Keras' normalisations compute in float32.
    close = 1e-4 * np.abs(hessian).max() * len(hessian)
    assert hessian_trace(model, x, y, squared, probes=2).value == pytest.approx(expected, abs=close)


def test_the_seed_decides(linear, rng, squared):
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(7, 1))
    runs = [hessian_trace(linear, x, y, squared, 5, seed).value for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


def test_not_finite_is_told(linear, squared):
    found = hessian_trace(linear, np.full((2, 3), np.inf), np.zeros((2, 1)), squared, probes=2)
    assert not np.isfinite(found.value) and np.isnan(found.standard_error)


@pytest.mark.parametrize("probes", [1, 0, 2.0, "3"])
def test_bad_probes_are_named(linear, probes):
    with pytest.raises(ValueError, match=f"`probes` must be an int >= 2, got {probes!r}"):
        hessian_trace(linear, np.eye(3), np.zeros((3, 1)), "mse", probes)
