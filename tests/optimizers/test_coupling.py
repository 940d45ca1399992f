"""The table of couplings: what becomes of a weight without a gradient, and what it needs."""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn.optimizers import COUPLINGS, SGDW, AdamW, with_weight_decay
from wdattn.schedules import Cosine, Linear, Step, Warmup

STEPS = 40
RATE, DECAY = Warmup(5, Cosine(0.2, 30, floor=0.02)), Linear(0.5, 0.1, 30)
ETA, LAMBDA = RATE.values(STEPS).astype("float64"), DECAY.values(STEPS).astype("float64")
LAWS = {
    "decoupled": 1 - ETA * LAMBDA,
    "independent": 1 - ETA / 0.2 * LAMBDA,
    "corrected": 1 - LAMBDA * ETA**2 / 0.2,
    "l2": 1 - ETA * LAMBDA,
}
OPTIMIZERS = {
    "AdamW": AdamW,
    "SGDW": SGDW,
    "SGDW with momentum": lambda *args, **kwargs: SGDW(*args, momentum=0.9, **kwargs),
    "Lion": lambda rate, decay, **kwargs: with_weight_decay(keras.optimizers.Lion)(
        rate, weight_decay=decay, **kwargs
    ),
}


def test_every_coupling_has_a_law_here():
    assert set(COUPLINGS) == set(LAWS)
    for coupling in COUPLINGS.values():
        assert coupling.formula and coupling.law and coupling.source


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("coupling", LAWS)
def test_zero_gradients(applied, name, coupling):
    start = np.array([1.0, -2.0, 0.5], "float32")
    optimizer = OPTIMIZERS[name](RATE, DECAY, coupling=coupling)
    (found,) = applied(optimizer, [start], [[np.zeros(3, "float32")]] * STEPS)
    wanted = start * np.prod(LAWS[coupling])
    follows = coupling != "l2" or name == "SGDW"
    # 40 float32 products; the law of l2 holds for plain descent alone.
    assert np.allclose(found, wanted, rtol=40 * 1.2e-7, atol=0) == follows


@pytest.mark.parametrize("coupling", LAWS)
def test_float64_formulas(coupling):
    """The shares themselves, as pure functions, to round-off of float64."""
    removed = COUPLINGS[coupling].removed
    if removed is None:
        return
    weight = ops.convert_to_tensor(np.array([1.0, -2.0, 0.5]))
    for eta, decay in zip(ETA, LAMBDA, strict=True):
        weight = weight * (1 - removed(eta, eta / 0.2, decay))
    wanted = np.array([1.0, -2.0, 0.5]) * np.prod(LAWS[coupling])
    np.testing.assert_allclose(ops.convert_to_numpy(weight), wanted, rtol=1e-12)


def test_multipliers_make_groups_of_their_own(applied):
    """As under an optimizer with that multiple of the rate, its peak, and the decay."""
    rules = [("fast", 0.5, 3.0), ("still", 0.0, 1.0), (".*", 1.0, 1.0)]
    names, starts = ["fast", "still", "rest"], [np.ones(2, "float32")] * 3
    for coupling in ("decoupled", "independent", "corrected"):
        optimizer = AdamW(0.1, 0.2, coupling=coupling, decay_rules=rules)
        found = applied(optimizer, starts, [[np.zeros(2, "float32")] * 3] * 5, names)
        share = {"decoupled": (0.3 * 0.1, 0.02), "independent": (0.1, 0.2)}
        fast, rest = share.get(coupling, (0.3 * 0.1, 0.02))  # constant rate: s = 1
        for weight, wanted in zip(found, ((1 - fast) ** 5, 1.0, (1 - rest) ** 5), strict=True):
            np.testing.assert_allclose(weight, wanted, rtol=1e-6)


def test_a_rate_multiplier_scales_the_step(rng, applied):
    gradients = [[rng.normal(size=3).astype("float32")] * 2 for _ in range(10)]
    starts = [np.zeros(3, "float32")] * 2
    rules = [("fast", 1.0, 3.0), (".*", 1.0, 1.0)]
    fast, rest = applied(SGDW(0.1, 0.0, decay_rules=rules), starts, gradients, ["fast", "rest"])
    np.testing.assert_allclose(fast, 3 * rest, rtol=1e-5)


FOREIGN = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)


@pytest.mark.parametrize("coupling", ["independent", "corrected"])
def test_the_peak_must_be_known(coupling):
    for rate in (FOREIGN, lambda: 0.1):
        with pytest.raises(ValueError, match="`peak_learning_rate` must be given"):
            AdamW(rate, 0.1, coupling=coupling)
        assert AdamW(rate, 0.1, coupling=coupling, peak_learning_rate=0.1).peak_learning_rate == 0.1
    assert AdamW(FOREIGN, 0.1).peak_learning_rate is None
    assert AdamW(Step(0.3, 5), 0.1, coupling=coupling).peak_learning_rate == 0.3


def test_the_peak_is_the_rate_that_was_given(applied):
    """A rate assigned later does not move it, and it is saved."""
    optimizer = AdamW(0.1, 0.2, coupling="independent")
    optimizer.learning_rate = 0.05
    again = AdamW.from_config(optimizer.get_config())
    assert again.peak_learning_rate == pytest.approx(0.1)
    (found,) = applied(again, [np.ones(1, "float32")], [[np.zeros(1, "float32")]])
    np.testing.assert_allclose(found, 1 - 0.5 * 0.2, rtol=1e-6)
