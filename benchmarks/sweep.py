"""A sweep of learning rates and seeds as replicas, beside the ways to run it one by one.

`KERAS_BACKEND=jax python benchmarks/sweep.py`: 10 rates x 6 seeds of the linear transformer of Ahn
et al. (2024), 3 layers and batches of 1000. The contenders take turns in one process, so that a
busy machine slows all of them; read the ratios, not the milliseconds. All get their data ready
made: drawing it counts on no side.

"literal fit" is what a user of the layers writes and what papers do; "model fit" is our model,
whose single run gains by the Gram recursion as much as a replica does; "torch loop" is the
scores, mask and all of the paper's formula with PyTorch's own optimizer.

On two cores, milliseconds a run-step:

| backend | replicas | two stacks | literal fit | model fit | torch loop |
|---|---|---|---|---|---|
| JAX | 0.48 | 0.21 | 12.1 | 0.93 | 5.9 |
| PyTorch | 1.5 | 1.3 | 12.4 | 11.5 | 9.5 |
| TensorFlow | 1.7 | 1.5 | 10.0 | 9.1 | 6.0 |

What holds the replicas back, measured on JAX: the arithmetic of a run-step is a chain of about
100 products on matrices of 6 rows and 1000 columns, 0.07 MFLOP or 2 to 3 us each. Alone in a loop
one of them ran at 24 (Gram matrix times vectors) to 36 GFLOP/s (weights times vectors) on one
core, where 36 rows ran at 94: little is done with each number that is loaded. And operations this
small stay on one of the two cores: on JAX two stacks in two threads take half the time. The rest
we put down to sums, paddings and copies between the products on JAX, and on PyTorch and
TensorFlow to the start of each operation and to writing each intermediate result; that part is
not measured.
"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import torch

from wdattn import backend
from wdattn.data import in_context_regression
from wdattn.layers import LinearSelfAttention
from wdattn.models import LinearTransformer
from wdattn.optimizers import Knob, Update
from wdattn.optimizers.update_rules import Adam
from wdattn.replicas import Replicas, weights_by_path

RATES, SEEDS, DEPTH, BATCH, ROUNDS = np.geomspace(0.002, 0.05, 10), 6, 3, 1000, 5
# In a turn.
STEPS = {"replicas": 3, "two stacks": 3, "literal fit": 20, "model fit": 20, "torch loop": 20}
F, N = 6, 20  # features of a token, context tokens


def draw(seeds):
    pairs = [in_context_regression(BATCH, seed=seed) for seed in seeds]
    return tuple(np.stack(parts) for parts in zip(*pairs, strict=True))


def replicas(seeds=range(SEEDS)):
    model, (x, y) = LinearTransformer(DEPTH, F - 1, seed=0), draw(seeds)
    starts = [weights_by_path(LinearTransformer(DEPTH, F - 1, seed=seed)) for seed in seeds]
    runner = Replicas(
        model,
        keras.losses.MeanSquaredError(),
        Update(Adam(0.9, 0.9), Knob("learning_rate"), clipnorm=1.0),
        starts * len(RATES),
        knobs={"learning_rate": np.repeat(RATES, len(seeds))},
        batch_of=np.tile(np.arange(len(seeds)), len(RATES)),
    )

    def steps(count):
        for _ in range(count):
            losses = runner.step(x, y)
        np.asarray(losses)

    return steps, len(RATES) * len(seeds)


def two_stacks():
    """The same runs as two stacks of three seeds, each stepped by a thread of its own."""
    stacks = [replicas(seeds) for seeds in (range(SEEDS // 2), range(SEEDS // 2, SEEDS))]
    pool = ThreadPoolExecutor(2)

    def steps(count):
        list(pool.map(lambda stack: stack[0](count), stacks))

    return steps, sum(runs for _, runs in stacks)


def fit(model):
    optimizer = keras.optimizers.Adam(0.02, 0.9, 0.9, epsilon=1e-8, global_clipnorm=1.0)
    model.compile(optimizer, keras.losses.MeanSquaredError())
    count = STEPS["literal fit"]
    x, y = map(np.concatenate, draw(range(count)))

    def steps(_):
        model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)

    return steps, 1


def literal_stack():
    """The model as a user of the layers would write it."""
    inputs = tokens = keras.Input((N + 1, F))
    for _ in range(DEPTH):
        tokens = LinearSelfAttention("block")(tokens)
    return keras.Model(inputs, -tokens[:, -1, -1:])


def torch_loop():
    """Scores, mask and all, as in the paper's formula, and PyTorch's own optimizer."""
    pairs = [tuple(map(torch.tensor, in_context_regression(BATCH, seed=s))) for s in range(20)]
    blocks = [torch.nn.Parameter(0.05 * torch.randn(2, F - 1, F - 1)) for _ in range(DEPTH)]
    optimizer = torch.optim.Adam(blocks, 0.02, (0.9, 0.9))
    mask = torch.diag(torch.tensor([1.0] * N + [0.0]))

    def steps(count):
        for z, y in pairs[:count]:
            for value, key_query in blocks:
                p = torch.block_diag(value, torch.ones(1, 1))
                q = torch.block_diag(key_query, torch.zeros(1, 1))
                z = z + (z @ q.T @ z.transpose(1, 2)) @ mask @ z @ p.T / N
            loss = (z[:, -1, -1:] + y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(blocks, 1.0)
            optimizer.step()

    return steps, 1


def flops():
    """Of a run-step: products of a matrix and a vector for each prompt, three times for gradients.

    Without Gram matrices formed, the K of layer l is applied to a vector with 3^l products by the
    first K, and 2 (3^l - 1) by weights; each layer adds two by its own weights. 2 f^2 operations a
    product. The gradient takes as much for the vectors, and once more for the weights alone. The
    first K, 2 n f^2 operations a prompt, is shared by the runs of a batch.
    """
    by_gram = sum(3**layer for layer in range(DEPTH))
    by_weights = sum(2 * (3**layer - 1) + 2 for layer in range(DEPTH))
    products = 2 * by_gram + 3 * by_weights
    return BATCH * 2 * F * F * (products + N / len(RATES))


def limit():
    """Float32 operations per second of a large product on this backend."""
    matrix = keras.ops.convert_to_tensor(
        np.random.default_rng(0).normal(size=(2000, 2000)), "float32"
    )
    product = backend.jit(lambda a: a @ a)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        keras.ops.convert_to_numpy(product(matrix)[0, 0])
        times.append(time.perf_counter() - start)
    return 2 * 2000**3 / min(times)


def main():
    makers = {
        "replicas": replicas,
        "two stacks": two_stacks,
        "literal fit": lambda: fit(literal_stack()),
        "model fit": lambda: fit(LinearTransformer(DEPTH, F - 1, seed=0)),
        "torch loop": torch_loop,
    }
    contenders = {name: make() for name, make in makers.items()}
    for name, (steps, _) in contenders.items():
        steps(STEPS[name])  # compiles
    rounds = []
    for _ in range(ROUNDS):
        row = {}
        for name, (steps, runs) in contenders.items():
            start = time.perf_counter()
            steps(STEPS[name])
            row[name] = (time.perf_counter() - start) * 1e3 / (STEPS[name] * runs)
        rounds.append(row)
    print(
        f"{keras.backend.backend()}: {len(RATES)} rates x {SEEDS} seeds, {DEPTH} layers, "
        f"batch {BATCH}; drawing the data is counted on no side; median of {ROUNDS} rounds"
    )
    for name in contenders:
        ratio = statistics.median(row[name] / row["replicas"] for row in rounds)
        print(f"{name:>12}: {statistics.median(row[name] for row in rounds):7.3f} ms a run-step, "
              f"{ratio:5.1f} x replicas")  # fmt: skip
    rate = flops() / statistics.median(row["replicas"] for row in rounds) / 1e-3
    most = limit()
    print(
        f"a run-step is {flops() / 1e6:.1f} MFLOP: {rate / 1e9:.1f} GFLOP/s, {rate / most:.1%} "
        f"of the {most / 1e9:.0f} GFLOP/s of a 2000 x 2000 product in the same run"
    )


if __name__ == "__main__":
    main()
