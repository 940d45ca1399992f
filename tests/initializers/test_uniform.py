import hashlib
import inspect

import keras
import numpy as np
import pytest

from wdattn.initializers import Normal, Uniform


def draw(initializer, shape=(64, 32), dtype="float32"):
    return keras.ops.convert_to_numpy(initializer(shape, dtype))


def test_law():
    """Mean, variance and fourth moment of U(-l, l): 0, l^2 / 3 and l^4 / 5; nothing beyond l."""
    entries = draw(Uniform(0.5, seed=0), (400, 500), "float64").ravel() / 0.5
    root = np.sqrt(entries.size)
    assert np.abs(entries).max() <= 1
    assert abs(entries.mean()) < 5 * np.sqrt(1 / 3) / root
    assert abs(np.mean(entries**2) - 1 / 3) < 5 * np.sqrt(1 / 5 - 1 / 9) / root
    assert abs(np.mean(entries**4) - 1 / 5) < 5 * np.sqrt(1 / 9 - 1 / 25) / root


def test_the_recipe_is_numpys_alone():
    """The same numbers without Keras: what makes a seed one start on every backend."""
    place = np.frombuffer(hashlib.sha256(b"hidden/kernel").digest(), "<u4")
    generator = np.random.default_rng([0x1A17, 42, *place.tolist()])
    wanted = generator.uniform(-0.3, 0.3, (4, 5)).astype("float32")
    assert np.array_equal(draw(Uniform(0.3, 42).at("hidden", "kernel"), (4, 5)), wanted)


def test_golden_values():
    found = draw(Uniform(1.0, seed=7, path="a"), (4,), "float64")
    np.testing.assert_array_equal(found, GOLDEN)


GOLDEN = [0.6912826212650047, 0.6498381904674797, 0.611084785759088, -0.9570022481094023]


def test_seed_and_path_decide():
    base = draw(Uniform(seed=1, path="a"))
    assert np.array_equal(base, draw(Uniform(seed=1, path="a")))
    for other in (Uniform(seed=2, path="a"), Uniform(seed=1, path="b"), Uniform(seed=1)):
        correlation = np.corrcoef(base.ravel(), draw(other).ravel())[0, 1]
        assert abs(correlation) < 5 / np.sqrt(base.size)


def test_at_goes_deeper_and_changes_nothing_else():
    leaf = Uniform(0.2, seed=3).at("hidden").at("bias")
    assert type(leaf) is Uniform
    assert (leaf.limit, leaf.seed, leaf.path) == (0.2, 3, "hidden/bias")
    assert type(Normal().at("a")) is Normal


def test_zero_limit():
    assert not draw(Uniform(0.0, seed=1)).any()


BAD = [
    *[("limit", value) for value in (-0.1, float("nan"), float("inf"), "0.1", None, True)],
    *[("seed", value) for value in (-1, 1.0, 2**32, True, "1")],
    *[("path", value) for value in (None, 3)],
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_arguments(name, value):
    with pytest.raises(ValueError) as error:
        Uniform(**{name: value})
    assert f"`{name}` must be" in str(error.value) and repr(value) in str(error.value)


def test_every_argument_has_a_bad_value():
    assert {name for name, _ in BAD} == set(inspect.signature(Uniform).parameters)
