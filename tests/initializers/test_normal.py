import hashlib
import inspect

import keras
import numpy as np
import pytest

from wdattn.initializers import Normal


def draw(initializer, shape=(64, 32), dtype="float32"):
    return keras.ops.convert_to_numpy(initializer(shape, dtype))


def test_law():
    entries = draw(Normal(0.05, seed=0), (400, 500), "float64").ravel()
    error = 0.05 / np.sqrt(entries.size)
    assert abs(entries.mean()) < 5 * error
    assert abs(entries.std() - 0.05) < 5 * error / np.sqrt(2)
    share = np.mean(np.abs(entries) < 0.05)  # 68.27 % within one standard deviation
    assert abs(share - 0.682689) < 5 * np.sqrt(0.2166 / entries.size)


def test_the_recipe_is_numpys_alone():
    """The same numbers without Keras: what makes a seed one start on every backend."""
    place = np.frombuffer(hashlib.sha256(b"attention_1/value").digest(), "<u4")
    generator = np.random.default_rng([0x1A17, 42, *place.tolist()])
    wanted = (0.3 * generator.standard_normal((4, 5))).astype("float32")
    assert np.array_equal(draw(Normal(0.3, 42).at("attention_1", "value"), (4, 5)), wanted)


def test_golden_values():
    found = draw(Normal(1.0, seed=7, path="a"), (4,), "float64")
    np.testing.assert_array_equal(found, GOLDEN)


GOLDEN = [1.2807850727544896, -1.7345994466690788, 1.1506499747614765, -0.30039059813803337]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_dtype_and_rounding(dtype):
    initializer = Normal(0.05, seed=3)
    tensor = initializer((50,), dtype)
    assert keras.backend.standardize_dtype(tensor.dtype) == dtype
    exact = draw(initializer, (50,), "float64")
    precision = {"float32": 2**-24, "float64": 0, "float16": 2**-10, "bfloat16": 2**-8}[dtype]
    rounded = keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float64"))
    np.testing.assert_allclose(rounded, exact, rtol=precision, atol=1e-7 if precision else 0)


def test_default_dtype_is_floatx():
    assert keras.backend.standardize_dtype(Normal(seed=0)((2,)).dtype) == keras.config.floatx()


def test_seed_and_path_decide():
    base = draw(Normal(seed=1, path="a"))
    assert np.array_equal(base, draw(Normal(seed=1, path="a")))
    for other in (Normal(seed=2, path="a"), Normal(seed=1, path="b"), Normal(seed=1)):
        correlation = np.corrcoef(base.ravel(), draw(other).ravel())[0, 1]
        assert abs(correlation) < 5 / np.sqrt(base.size)


def test_a_repeated_call_repeats_only_with_a_seed():
    seeded, free = Normal(seed=0), Normal()
    assert np.array_equal(draw(seeded), draw(seeded))
    assert not np.array_equal(draw(free), draw(free))


def test_global_randomness_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002  the state that must not move
    draw(Normal()), draw(Normal(seed=0))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_at_goes_deeper_and_changes_nothing_else():
    root = Normal(0.2, seed=3)
    leaf = root.at("block", 1).at("value")
    assert (leaf.stddev, leaf.seed, leaf.path) == (0.2, 3, "block/1/value")
    assert root.path == ""


def test_zero_stddev():
    assert not draw(Normal(0.0, seed=1)).any()


BAD = [
    *[("stddev", value) for value in (-0.1, float("nan"), float("inf"), "0.1", None, True)],
    *[("seed", value) for value in (-1, 1.0, 2**32, True, "1")],
    *[("path", value) for value in (None, 3)],
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_arguments(name, value):
    with pytest.raises(ValueError) as error:
        Normal(**{name: value})
    assert f"`{name}` must be" in str(error.value) and repr(value) in str(error.value)


def test_every_argument_has_a_bad_value():
    assert {name for name, _ in BAD} == set(inspect.signature(Normal).parameters)
