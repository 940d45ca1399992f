"""What the ledger measures is what a user gets: a replica's path is that of `fit`."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from wdattn.optimizers import COUPLINGS, SGDW, AdamW, Knob, Muon, MuonRule, Update
from wdattn.optimizers.update_rules import SGD, Adam
from wdattn.replicas import Replicas, weights_by_path
from wdattn.schedules import Cosine, Exponential, InverseTo, Linear, Piecewise, Step, Warmup

STEPS, BATCH = 12, 16
# An epsilon above round-off: the gradient of the key's bias is 0 but for that.
ADAM, MOMENTUM = Adam(0.9, 0.99, 1e-3), SGD(0.9, nesterov=True)
MUON = MuonRule(0.9, adam=ADAM)
MADE = {
    "AdamW": (ADAM, lambda *given, **kw: AdamW(*given, 0.9, 0.99, 1e-3, **kw)),
    "SGDW": (MOMENTUM, lambda *given, **kw: SGDW(*given, 0.9, True, **kw)),
    "Muon": (
        MUON,
        lambda *given, **kw: Muon(*given, 0.9, beta_1=0.9, beta_2=0.99, epsilon=1e-3, **kw),
    ),
}
RULES = [("bias$", 0.0, 1.0), ("attention", 2.0, 0.5), (".*", 1.0, 1.0)]
RATES = {
    "constant": 0.01,
    "cosine": Warmup(3, Cosine(0.02, 8, floor=0.001), start=0.001),
    "exponential": Exponential(0.02, 0.5, 4),
    "steps": Step(0.02, (4, 8), 0.5),
    "piecewise": Piecewise(5, (0.01, Linear(0.02, 0.0, 7))),
}


def model(seed=0):
    """Attention, whose kernels have three axes, between two plain kernels."""
    inputs = keras.Input((4, 6))
    hidden = layers.Dense(6, name="first", activation="tanh")(inputs)
    attended = layers.MultiHeadAttention(2, 3, name="attention")(hidden, hidden)
    made = keras.Model(inputs, layers.Dense(1, name="last")(hidden + attended))
    rng = np.random.default_rng(seed)
    made.set_weights([0.4 * rng.normal(size=w.shape) for w in made.get_weights()])
    return made


def squared(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred))


def data(step):
    rng = np.random.default_rng([step, 3])
    x = rng.normal(size=(BATCH, 4, 6)).astype("float32")
    return x, np.sin(3 * x[..., :1])


def fitted(optimizer, seed=0):
    made, batches = model(seed), [data(step) for step in range(STEPS)]
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    made.compile(optimizer, loss=squared)
    history = made.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
    return weights_by_path(made), history.history["loss"][0]


def assert_same_path(found, wanted, start):
    for path, weight in wanted.items():
        # 12 steps of a few roundings each, on gradients that are sums over a batch.
        assert np.linalg.norm(found[path] - weight) <= 2e-5 * max(np.linalg.norm(weight), 0.1)
    moved = [np.linalg.norm(weight - start[path]) for path, weight in wanted.items()]
    assert max(moved) > 0.02


def both(name, rate, decay, clip=None, **arguments):
    rule, optimizer = MADE[name]
    start = weights_by_path(model())
    runs = Replicas(model(), squared, Update(rule, rate, decay, clipnorm=clip, **arguments),
                    [start])  # fmt: skip
    losses = [np.asarray(runs.step(*(part[None] for part in data(t)))) for t in range(STEPS)]
    wanted, loss = fitted(optimizer(rate, decay, global_clipnorm=clip, **arguments))
    assert_same_path(runs.weights(0), wanted, start)
    np.testing.assert_allclose(np.mean(losses), loss, rtol=1e-4)


PAIRS = [  # every coupling and every kind of schedule
    ("decoupled", "constant"),
    ("decoupled", "cosine"),
    ("independent", "steps"),
    ("l2", "exponential"),
    ("corrected", "piecewise"),
]


def test_the_pairs_name_every_coupling_and_schedule():
    assert {coupling for coupling, _ in PAIRS} == set(COUPLINGS)
    assert {rate for _, rate in PAIRS} == set(RATES)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize(("coupling", "rate"), PAIRS)
def test_every_coupling_and_schedule(name, coupling, rate):
    size = 0.05 if coupling == "independent" else 2.0
    decay = size if rate == "constant" else Linear(size, size / 4, 10)
    both(name, RATES[rate], decay, clip=0.3, coupling=coupling, decay_rules=RULES)


@pytest.mark.parametrize("name", MADE)
def test_cautious(name):
    both(name, 0.01, InverseTo(0.01, 0.02), cautious=True, decay_rules=RULES)


@pytest.mark.parametrize("name", MADE)
def test_the_effective_rate(name):
    both(name, 0.003, 1.0, decay_rules="kernels", effective_rate=True)


def test_the_average_is_that_of_keras():
    start = weights_by_path(model())
    runs = Replicas(model(), squared, Update(ADAM, 0.01, 0.1, average=0.8), [start])
    for step in range(STEPS):
        runs.step(*(part[None] for part in data(step)))
    optimizer = MADE["AdamW"][1](0.01, 0.1, use_ema=True, ema_momentum=0.8)
    wanted, _ = fitted(optimizer)  # Keras puts the average in the place of the weights at the end
    assert_same_path(runs.average(0), wanted, start)


def test_knobs_are_what_each_run_would_be_alone():
    rates, decays = (0.02, 0.01), (0.0, 3.0)
    update = Update(ADAM, Knob("rate"), Knob("decay"), clipnorm=0.5)
    starts = [weights_by_path(model(seed)) for seed in range(2)]
    runs = Replicas(model(), squared, update, starts, {"rate": rates, "decay": decays}, (0, 0))
    for step in range(STEPS):
        runs.step(*(part[None] for part in data(step)))
    for run, (rate, decay) in enumerate(zip(rates, decays, strict=True)):
        wanted, _ = fitted(MADE["AdamW"][1](rate, decay, global_clipnorm=0.5), run)
        assert_same_path(runs.weights(run), wanted, starts[run])
