"""What `Monitor` costs on the steps that it skips.

`KERAS_BACKEND=jax python benchmarks/monitor.py`: `fit` alone, with a monitor that measures at the
first and the last step only, and, for comparison, with a callback that reads `self.model` on
each step. They take turns in one process on the same model and data; the ratios are of neighbours,
so that a busy machine slows all of them.

On a core of a busy machine, 7 rounds, times that of `fit` alone (quartiles):

| backend | Monitor | reads `self.model` |
|---|---|---|
| JAX | 0.91 (0.73 to 1.01) | 2.15 (1.60 to 2.92) |
| TensorFlow | 1.02 (0.74 to 1.18) | 0.96 (0.68 to 1.15) |
| PyTorch | 1.07 (0.98 to 1.25) | 1.02 (0.90 to 1.09) |

The monitor's own calls take 0.2 us a skipped step, a step of `fit` 0.5 ms (JAX) and more.
"""

import statistics
import time

import keras
import numpy as np

from wdattn.callbacks import Monitor

STEPS, BATCH, WIDTH, LAYERS, ROUNDS = 500, 32, 64, 6, 15


def itself():
    """Microseconds of the monitor's own two calls on a step that it skips."""
    monitor = Monitor({"one": lambda model: 1}, every=10**9)
    monitor.set_model(None)
    monitor.on_train_begin()
    monitor.on_train_batch_begin(0)
    start = time.perf_counter()
    for batch in range(1, 100_001):
        monitor.on_train_batch_begin(batch)
        monitor.on_train_batch_end(batch)
    return (time.perf_counter() - start) * 1e6 / 100_000


class Touching(keras.callbacks.Callback):
    """What a callback does that looks at the model each step, if only to skip it."""

    def on_train_batch_end(self, batch, logs=None):
        self.model  # noqa: B018


def main():
    rng = np.random.default_rng(0)
    hidden = [keras.layers.Dense(WIDTH, activation="tanh") for _ in range(LAYERS)]
    model = keras.Sequential([keras.Input((WIDTH,)), *hidden, keras.layers.Dense(1)])
    model.compile(keras.optimizers.AdamW(1e-3), "mse")
    x = rng.normal(size=(STEPS * BATCH, WIDTH)).astype("float32")
    y = rng.normal(size=(STEPS * BATCH, 1)).astype("float32")
    contenders = {
        "fit alone": lambda: [],
        "Monitor": lambda: [Monitor({"one": lambda model: 1}, every=10 * STEPS)],
        "reads self.model": lambda: [Touching()],
    }

    def run(name):
        start = time.perf_counter()
        model.fit(x, y, BATCH, verbose=0, shuffle=False, callbacks=contenders[name]())
        return (time.perf_counter() - start) * 1e3 / STEPS

    for name in contenders:
        run(name)  # compiles
    rounds = []
    for number in range(ROUNDS):
        order = list(contenders)[:: 1 if number % 2 else -1]
        rounds.append({name: run(name) for name in order})
    print(
        f"{keras.backend.backend()}: {LAYERS} layers of {WIDTH}, batch {BATCH}, {STEPS} steps a "
        f"turn; median of {ROUNDS} rounds"
    )
    for name in contenders:
        ratios = sorted(row[name] / row["fit alone"] for row in rounds)
        low, middle, high = (ratios[int(share * (ROUNDS - 1))] for share in (0.25, 0.5, 0.75))
        print(
            f"{name:>18}: {statistics.median(row[name] for row in rounds):6.3f} ms a step, "
            f"{middle:5.3f} x alone (quartiles {low:.3f} to {high:.3f})"
        )
    print(f"the monitor's own calls on a skipped step: {itself():.2f} us")


if __name__ == "__main__":
    main()
