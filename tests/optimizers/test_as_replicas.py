"""What the ledger measures is what a user gets: a replica's path is that of `fit`."""

import numpy as np
import pytest
from keras import ops

from wdattn.data import in_context_regression
from wdattn.models import LinearTransformer
from wdattn.optimizers import SGDW, AdamW, Knob, Update
from wdattn.optimizers.update_rules import SGD, Adam
from wdattn.replicas import Replicas, weights_by_path

STEPS, BATCH = 30, 64
RULES = {  # and rates at which round-off does not grow
    "adam": (
        Adam(),
        (0.02, 0.01),
        lambda rate, decay, clip: AdamW(rate, decay, global_clipnorm=clip),
    ),
    "momentum": (
        SGD(0.9),
        (0.002, 0.001),
        lambda rate, decay, clip: SGDW(rate, decay, momentum=0.9, global_clipnorm=clip),
    ),
}


def squared(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("clip", [None, 0.5])
def test_the_same_path(name, clip):
    (rule, rates, optimizer), decays = RULES[name], (0.0, 0.3)
    batches = [in_context_regression(BATCH, seed=5, step=step) for step in range(STEPS)]
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    starts = [weights_by_path(LinearTransformer(2, 5, seed=seed)) for seed in range(2)]
    update = Update(rule, Knob("rate"), Knob("decay"), clipnorm=clip)
    knobs = {"rate": rates, "decay": decays}
    runs = Replicas(LinearTransformer(2, 5, seed=0), squared, update, starts, knobs, (0, 0))
    losses = [np.asarray(runs.step(xs[None], ys[None])) for xs, ys in batches]
    for run, (rate, decay) in enumerate(zip(rates, decays, strict=True)):
        model = LinearTransformer(2, 5, seed=run)
        model.compile(optimizer(rate, decay, clip), loss=squared)
        history = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
        found, wanted = runs.weights(run).values(), model.get_weights()
        for one, other in zip(found, wanted, strict=True):
            # 30 steps of a few roundings each, on gradients that are sums over a batch.
            assert np.linalg.norm(one - other) <= 1e-5 * np.linalg.norm(other)
        moved = [
            np.linalg.norm(w - start) for w, start in zip(wanted, starts[run].values(), strict=True)
        ]
        assert max(moved) > 0.02
        mean = np.mean(losses, axis=0)[run]
        np.testing.assert_allclose(history.history["loss"][0], mean, rtol=1e-4)
