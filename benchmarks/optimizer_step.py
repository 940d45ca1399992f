"""A whole training step under our optimizers, over the same step under Keras' own.

`KERAS_BACKEND=torch python benchmarks/optimizer_step.py`: 4 transformer blocks of width 128 on 8
sequences of 32 tokens, gradients clipped by their global norm, biases and norms left out of the
decay. Each contender has a model of its own, and they take turns in one process, so that a busy
machine slows all of them; read the ratios. `--json FILE` writes them.

| backend | AdamW | schedules | cautious, schedules | SGDW | Muon |
|---|---|---|---|---|---|
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import keras
import numpy as np

from wdattn import backend
from wdattn.layers import FeedForward, MultiHeadAttention, TransformerBlock
from wdattn.optimizers import SGDW, AdamW, Muon
from wdattn.schedules import Cosine, Linear, Warmup

BLOCKS, WIDTH, TOKENS, BATCH, WORDS = 4, 128, 32, 8, 256
RULES = [(r"(bias|gamma|beta|scale)$", 0.0, 1.0), (".*", 1.0, 1.0)]
RATE, DECAY = Warmup(100, Cosine(1e-3, 10_000)), Linear(0.1, 0.0, 10_000)


def stock(optimizer, **arguments):
    made = optimizer(1e-3, weight_decay=0.1, global_clipnorm=1.0, **arguments)
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "scale"])
    return made


def ours(optimizer, rate=1e-3, decay=0.1, **arguments):
    return optimizer(rate, decay, global_clipnorm=1.0, decay_rules=RULES, **arguments)


PAIRS = {
    "AdamW": (lambda: ours(AdamW), "keras AdamW"),
    "AdamW, schedules": (lambda: ours(AdamW, RATE, DECAY), "keras AdamW"),
    "AdamW, cautious, schedules": (lambda: ours(AdamW, RATE, DECAY, cautious=True), "keras AdamW"),
    "SGDW, momentum": (lambda: ours(SGDW, momentum=0.9), "keras SGD"),
    "Muon": (lambda: ours(Muon), "keras Muon"),
}
STOCK = {
    "keras AdamW": lambda: stock(keras.optimizers.AdamW),
    "keras SGD": lambda: stock(keras.optimizers.SGD, momentum=0.9),
    "keras Muon": lambda: stock(keras.optimizers.Muon),
}


def model():
    tokens = keras.Input((TOKENS,), dtype="int32")
    x = keras.layers.Embedding(WORDS, WIDTH, name="tokens")(tokens)
    for block in range(BLOCKS):
        attention = MultiHeadAttention(4, WIDTH // 4)
        x = TransformerBlock(attention, FeedForward(4 * WIDTH), name=f"block_{block}")(x)
    return keras.Model(tokens, keras.layers.Dense(WORDS, name="head")(x))


def contender(optimizer):
    """A function of a number of steps, each on the same batch, as `fit` takes them."""
    trained, rng = model(), np.random.default_rng(0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained.compile(optimizer, loss)
    x, y = rng.integers(WORDS, size=(2, BATCH, TOKENS))

    def steps(count):
        for _ in range(count):
            trained.train_on_batch(x, y)

    return steps


def measure(contenders, steps, rounds):
    """Milliseconds a step, a list for each contender: one number a round."""
    for take in contenders.values():
        take(3)  # compiles
    taken = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, take in contenders.items():
            start = time.perf_counter()
            take(steps)
            taken[name].append((time.perf_counter() - start) * 1e3 / steps)
    return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="in a turn")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", help="file to write")
    asked = parser.parse_args()
    makers = {**STOCK, **{name: make for name, (make, _) in PAIRS.items()}}
    contenders = {name: contender(make()) for name, make in makers.items()}
    taken = measure(contenders, asked.steps, asked.rounds)
    found = {
        name: {
            "milliseconds": statistics.median(taken[name]),
            "over": peer,
            "ratio": statistics.median(
                mine / theirs for mine, theirs in zip(taken[name], taken[peer], strict=True)
            ),
        }
        for name, (_, peer) in PAIRS.items()
    }
    print(
        f"{keras.backend.backend()}: {BLOCKS} blocks of width {WIDTH}, {BATCH} x {TOKENS} tokens; "
        f"median of {asked.rounds} rounds of {asked.steps} steps"
    )
    for name, row in found.items():
        print(f"{name:>27}: {row['milliseconds']:7.2f} ms, {row['ratio']:5.2f} x {row['over']}")
    if asked.json:
        record = {"runs_on": backend.describe(), "rows": found}
        Path(asked.json).write_text(json.dumps(record, indent=1), "utf-8")


if __name__ == "__main__":
    main()
