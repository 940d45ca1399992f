"""What stacking saves: a step of twelve stacked runs beside other ways to take those twelve steps.

`KERAS_BACKEND=jax python benchmarks/replicas.py`. The contenders take turns in one process, so that
a busy machine slows all of them; read the ratios, not the milliseconds.
"""

import statistics
import time

import keras
import numpy as np

from wdattn.data import in_context_regression
from wdattn.models import LinearTransformer
from wdattn.optimizers.update_rules import Adam
from wdattn.replicas import Replicas

RUNS, BATCH, STEPS, ROUNDS = 12, 256, 10, 7

prompts, labels = map(
    np.stack, zip(*(in_context_regression(BATCH, seed=seed) for seed in range(RUNS)), strict=True)
)
loss = keras.losses.MeanSquaredError()


def replicas(size):
    model = LinearTransformer(seed=0)
    start = [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]
    return Replicas(model, loss, Adam(0.9, 0.9), [start] * size, rates=0.02, clipnorms=1.0)


def compiled():
    model = LinearTransformer(seed=0)
    optimizer = keras.optimizers.Adam(0.02, 0.9, 0.9, epsilon=1e-8, global_clipnorm=1.0)
    model.compile(optimizer, loss)
    return model


def stacked():
    runner = replicas(RUNS)

    def steps():
        for _ in range(STEPS):
            losses = runner.step(prompts, labels)
        np.asarray(losses)

    return steps


def one_by_one():
    runner = replicas(1)

    def steps():
        for _ in range(STEPS):
            for run in range(RUNS):
                losses = runner.step(prompts[run : run + 1], labels[run : run + 1])
        np.asarray(losses)

    return steps


def train_on_batch():
    model = compiled()

    def steps():
        for _ in range(STEPS):
            for run in range(RUNS):
                model.train_on_batch(prompts[run], labels[run])

    return steps


def fit():
    model = compiled()
    x, y = np.concatenate([*prompts] * STEPS), np.concatenate([*labels] * STEPS)
    return lambda: model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)


def milliseconds(steps):
    """Of a step of one run."""
    start = time.perf_counter()
    steps()
    return (time.perf_counter() - start) * 1e3 / (STEPS * RUNS)


def main():
    contenders = {make.__name__: make() for make in (stacked, one_by_one, train_on_batch, fit)}
    for steps in contenders.values():
        steps()  # compiles
    rounds = [[milliseconds(steps) for steps in contenders.values()] for _ in range(ROUNDS)]
    print(f"{keras.backend.backend()}: {RUNS} runs, batch {BATCH}, median of {ROUNDS} rounds")
    for name, times in zip(contenders, zip(*rounds, strict=True), strict=True):
        ratio = statistics.median(mine / row[0] for mine, row in zip(times, rounds, strict=True))
        print(f"{name:>15}: {statistics.median(times):7.3f} ms a run-step, {ratio:5.1f} x stacked")


if __name__ == "__main__":
    main()
