"""AdamW against `torch.optim` and optax, and what it refuses."""

import keras
import numpy as np
import optax
import pytest
import torch

from wdattn.optimizers import AdamW
from wdattn.schedules import Cosine, Linear, Warmup

STEPS, SHAPE, SCALES = 100, (3, 4), (1.0, 1e-3, 1e-6)
RATE, DECAY = Warmup(10, Cosine(0.01, 90, floor=0.001)), Linear(0.5, 0.05, 80)


def draws(rng):
    """Starts and gradients of one variable for each scale."""
    starts = [rng.normal(size=SHAPE).astype("float32") for _ in SCALES]
    steps = [[(s * rng.normal(size=SHAPE)).astype("float32") for s in SCALES] for _ in range(STEPS)]
    return starts, steps


def of_optax(starts, steps, rate, decay, epsilon):
    optimizer = optax.adamw(rate, eps=epsilon, weight_decay=decay)
    parameters = [start.astype("float64") for start in starts]
    state = optimizer.init(parameters)
    for gradients in steps:
        updates, state = optimizer.update(
            [g.astype("float64") for g in gradients], state, parameters
        )
        parameters = optax.apply_updates(parameters, updates)
    return [np.asarray(parameter) for parameter in parameters]


def assert_close(found, wanted):
    """Round-off of 100 float32 steps is at most 6e-7 of a weight (see test_update_rules)."""
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == np.float32
        assert np.linalg.norm(one - other) <= 1e-6 * np.linalg.norm(other)


@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
@pytest.mark.parametrize(
    ("rate", "decay"), [(0.01, 0.1), (RATE, DECAY)], ids=["constant", "scheduled"]
)
@pytest.mark.parametrize("coupling", ["decoupled", "l2"])
def test_equals_torch_and_optax(rng, applied, of_torch, rate, decay, coupling, epsilon):
    starts, steps = draws(rng)
    found = applied(AdamW(rate, decay, epsilon=epsilon, coupling=coupling), starts, steps)
    constant = isinstance(rate, float)
    rates = [rate] * STEPS if constant else rate.values(STEPS)
    decays = [decay] * STEPS if constant else decay.values(STEPS)
    peer = {"decoupled": torch.optim.AdamW, "l2": torch.optim.Adam}[coupling]
    assert_close(found, of_torch(peer, starts, steps, rates, decays, eps=epsilon))
    if coupling == "decoupled":
        by_optax = [rate, decay]
        if not constant:
            by_optax = [
                lambda count, values=values: np.asarray(values, "float64")[int(count)]
                for values in (rates, decays)
            ]
        assert_close(found, of_optax(starts, steps, *by_optax, epsilon))


def test_is_not_keras_adam_at_a_large_epsilon(rng, applied):
    """What the tests above can tell apart: epsilon before the correction."""
    starts, steps = draws(rng)
    ours = applied(AdamW(0.01, 0.1, epsilon=0.1), starts, steps)
    stock = applied(keras.optimizers.AdamW(0.01, 0.1, epsilon=0.1), starts, steps)
    assert np.linalg.norm(ours[0] - stock[0]) > 1e-3 * np.linalg.norm(ours[0])


BAD = [
    ("weight_decay", -0.1),
    ("weight_decay", float("nan")),
    ("weight_decay", "0.1"),
    ("timescale", 0),
    ("timescale", (1, 2, 3)),
    ("cautious", 1),
    ("learning_rate", -0.5),
    ("learning_rate", float("nan")),
    ("learning_rate", float("inf")),
    ("clipnorm", -1.0),
    ("global_clipnorm", 0.0),
    ("clipvalue", float("nan")),
    ("loss_scale_factor", -2.0),
    ("coupling", "Decoupled"),
    ("coupling", None),
    ("decay_rules", "every"),
    ("decay_rules", []),
    ("decay_rules", None),
    ("decay_rules", [("a", 1.0)]),
    ("decay_rules", [("a", -1.0, 1.0)]),
    ("decay_rules", [("(", 1.0, 1.0)]),
    ("peak_learning_rate", 0.0),
    ("peak_learning_rate", "0.1"),
    ("effective_rate", 1),
    ("beta_1", 1.0),
    ("beta_2", -0.1),
    ("epsilon", 0.0),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_argument(name, value):
    with pytest.raises(ValueError, match=f"`{name}`") as error:
        AdamW(**{name: value})
    assert "must be" in str(error.value) and "got" in str(error.value)


def test_unknown_argument():
    with pytest.raises(ValueError, match="speling"):
        AdamW(speling=1)
