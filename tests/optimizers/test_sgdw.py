"""SGDW against `torch.optim.SGD`, whose decay goes through the gradient."""

import numpy as np
import pytest
import torch

from wdattn.optimizers import SGDW
from wdattn.schedules import Cosine, Linear

STEPS, SHAPE, SCALES = 100, (3, 4), (1.0, 1e-3, 1e-6)


@pytest.mark.parametrize(
    "momentum", [{"momentum": 0.0}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}]
)
@pytest.mark.parametrize("scheduled", [False, True])
def test_equals_torch(rng, applied, of_torch, momentum, scheduled):
    starts = [rng.normal(size=SHAPE).astype("float32") for _ in SCALES]
    steps = [[(s * rng.normal(size=SHAPE)).astype("float32") for s in SCALES] for _ in range(STEPS)]
    # Gentle: a weight that shrinks a hundredfold keeps the round-off of its start.
    rate, decay = (Cosine(0.02, 100), Linear(0.2, 0.0, 90)) if scheduled else (0.01, 0.1)
    rates = rate.values(STEPS) if scheduled else [rate] * STEPS
    decays = decay.values(STEPS) if scheduled else [decay] * STEPS
    found = applied(SGDW(rate, decay, coupling="l2", **momentum), starts, steps)
    for one, other in zip(
        found, of_torch(torch.optim.SGD, starts, steps, rates, decays, **momentum), strict=True
    ):
        # Round-off of 100 float32 steps is at most 6e-7 of a weight (see test_update_rules).
        assert np.linalg.norm(one - other) <= 1e-6 * np.linalg.norm(other)


def test_decoupled_is_l2_without_momentum(rng, applied):
    starts = [rng.normal(size=SHAPE).astype("float32")]
    steps = [[rng.normal(size=SHAPE).astype("float32")] for _ in range(20)]
    one, other = (
        applied(SGDW(0.1, 0.1, coupling=c), starts, steps)[0] for c in ("l2", "decoupled")
    )
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)  # float32, sums in another order
    with_momentum = [
        applied(SGDW(0.1, 0.1, momentum=0.9, coupling=c), starts, steps)[0]
        for c in ("l2", "decoupled")
    ]
    assert np.abs(with_momentum[0] - with_momentum[1]).max() > 1e-2


@pytest.mark.parametrize(
    ("name", "value"), [("momentum", 1.0), ("momentum", -0.1), ("nesterov", 1)]
)
def test_bad_argument(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        SGDW(**{name: value})
