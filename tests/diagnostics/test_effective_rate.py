import keras
import numpy as np
import pytest

from wdattn.diagnostics import effective_rate


@pytest.fixture
def two_layers(rng):
    layers = [keras.layers.Dense(2, name="first"), keras.layers.Dense(1, name="second")]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
    return model


def test_the_quotients(two_layers):
    found = effective_rate(two_layers, rate=0.1, decay=0.02)
    # The weights are float32.
    norm = np.sqrt(sum((w.astype("float64") ** 2).sum() for w in two_layers.get_weights()))
    assert found.norm == pytest.approx(norm, rel=1e-12)
    assert found.over_norm == pytest.approx(0.1 / norm, rel=1e-12)
    assert found.over_squared_norm == pytest.approx(0.1 / norm**2, rel=1e-12)
    assert (found.rate, found.decay) == (0.1, 0.02)
    assert found.rate_times_decay == pytest.approx(0.002, rel=1e-12)
    assert np.isnan(found.rotation)


def test_by_group(two_layers):
    found = effective_rate(two_layers, rate=0.1, groups={"decayed": "kernel", "rest": ""})
    kernels = np.concatenate([w.ravel() for w in two_layers.get_weights()[::2]]).astype("float64")
    own = found.by_group["decayed"]
    assert own.over_norm == pytest.approx(0.1 / np.linalg.norm(kernels), rel=1e-12)
    assert own.by_group == {}
    squares = [group.norm**2 for group in found.by_group.values()]
    assert sum(squares) == pytest.approx(found.norm**2, rel=1e-12)
    layers = effective_rate(two_layers, rate=0.1).by_group
    assert [name.rpartition("/")[2] for name in layers] == ["first", "second"]


def test_of_the_optimizer_at_its_present_step(two_layers):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([3], [0.5, 0.25])
    two_layers.compile(keras.optimizers.AdamW(schedule, weight_decay=0.125), "mse")
    assert effective_rate(two_layers).rate == 0.5
    two_layers.fit(np.ones((5, 3)), np.ones(5), batch_size=1, verbose=0)
    found = effective_rate(two_layers)
    assert (found.rate, found.decay, found.rate_times_decay) == (0.25, 0.125, 0.03125)


@pytest.mark.parametrize("name", ["SGD", "Adam", "LossScaleOptimizer"])
def test_without_decay(two_layers, name):
    optimizer = keras.optimizers.SGD(0.5)
    if name == "LossScaleOptimizer":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    two_layers.compile(optimizer if name != "Adam" else keras.optimizers.Adam(0.5), "mse")
    found = effective_rate(two_layers)
    assert (found.rate, found.decay, found.rate_times_decay) == (0.5, 0.0, 0.0)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.3, np.pi / 2, np.pi])
def test_rotation(linear, angle):
    linear.set_weights([np.array([[1.0], [0.0], [0.0]])])
    turned = [5 * np.array([[np.cos(angle)], [np.sin(angle)], [0.0]])]
    found = effective_rate(linear, turned, rate=1.0)
    # The angle loses what the cosine and sine were rounded by.
    assert found.rotation == pytest.approx(angle, rel=1e-12, abs=1e-15)
    assert next(iter(found.by_group.values())).rotation == found.rotation


def test_weights_of_zero(linear):
    linear.set_weights([np.zeros((3, 1))])
    found = effective_rate(linear, [np.ones((3, 1))], rate=1.0)
    assert found.over_norm == found.over_squared_norm == np.inf
    assert np.isnan(found.rotation)


def test_bad_input_is_named(two_layers, linear):
    with pytest.raises(ValueError, match="`rate` is None and `model` .* is not compiled"):
        effective_rate(two_layers)
    with pytest.raises(ValueError, match=r"`previous` must be .* \[\(3, 1\)\], got \[\(3,\)\]"):
        effective_rate(linear, [np.ones(3)], rate=1.0)
    with pytest.raises(ValueError, match="is not built: call it once on data"):
        effective_rate(keras.Sequential([keras.layers.Dense(1)]), rate=1.0)
