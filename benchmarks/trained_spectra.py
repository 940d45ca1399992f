"""Draws docs/images/spectra.png: what weight decay leaves of the heads of a small trained model.

`KERAS_BACKEND=jax python benchmarks/trained_spectra.py docs/images/spectra.png`: a causal,
attention-only transformer of two layers, width 32, two heads of 16, learns associative recall
(Kobayashi et al. 2024, section 4.1, made smaller): six key-value pairs in an order and a matching
drawn for each sequence, then six keys whose values it must give; 5 % of the answers are random.
Our AdamW, rate 0.003 after a warm-up of 200 steps, 4000 steps of 32 sequences. Everything is
decayed by 0.1 in both arms, but for the projections of attention, which are not decayed in one.
A few minutes on one core with JAX.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from keras import layers

from wdattn import plots
from wdattn.diagnostics import attention_layers
from wdattn.layers import PositionEmbedding
from wdattn.optimizers import AdamW
from wdattn.schedules import Warmup
from wdattn.spectra import panels, pseudo_rank, rows_of

PAIRS, WIDTH, HEADS, DEPTH = 6, 32, 2, 2
STEPS, BATCH, SEEDS, DECAY = 4000, 32, 3, 0.1
TOKENS = 3 * PAIRS


def data(count, seed, noise=0.05):
    """Tokens `(count, 18)`, answers `(count, 18)` and which positions are asked for."""
    rng = np.random.default_rng(seed)
    keys, values = (rng.permuted(np.tile(np.arange(PAIRS), (count, 1)), axis=1) for _ in "kv")
    asked = rng.integers(0, PAIRS, (count, PAIRS))  # places of pairs
    answers = np.take_along_axis(values, asked, 1)
    answers = np.where(
        rng.random(answers.shape) < noise, rng.integers(0, PAIRS, answers.shape), answers
    )
    pairs = np.stack([keys, PAIRS + values], -1).reshape(count, -1)
    tokens = np.concatenate([pairs, np.take_along_axis(keys, asked, 1)], 1)
    targets = np.concatenate([np.zeros_like(pairs), answers], 1)
    return tokens, targets, np.tile(np.arange(TOKENS) >= 2 * PAIRS, (count, 1)).astype("float32")


def normal(stddev):
    # Without a seed of its own: Keras would draw one layer's four kernels alike, and balanced.
    return keras.initializers.RandomNormal(0, stddev)


def model(seed):
    """Pre-norm, residual, without gains and biases."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((TOKENS,), dtype="int32")
    x = layers.Embedding(2 * PAIRS, WIDTH, normal(1.0))(inputs)
    x = PositionEmbedding(TOKENS, initializer=normal(1.0))(x)

    def norm(x):
        return layers.LayerNormalization(center=False, scale=False)(x)

    for depth in range(DEPTH):
        attention = layers.MultiHeadAttention(
            HEADS,
            WIDTH // HEADS,
            use_bias=False,
            kernel_initializer=normal(WIDTH**-0.5),
            name=f"attention_{depth}",
        )
        before = norm(x)
        x = x + attention(before, before, use_causal_mask=True)
    kernel = normal(WIDTH**-0.5)
    outputs = layers.Dense(PAIRS, use_bias=False, kernel_initializer=kernel)(norm(x))
    return keras.Model(inputs, outputs)


def trained(seed, decayed, steps):
    """The attention layers after training, and the accuracy on new sequences without noise."""
    net = model(seed)
    rules = "all" if decayed else "except_attention"
    optimizer = AdamW(Warmup(200, 3e-3), DECAY, decay_rules=rules, global_clipnorm=1.0)
    net.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    tokens, targets, asked = data(steps * BATCH, [seed, 0])
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    net.fit(tokens, targets, sample_weight=asked, **options)
    tokens, targets, asked = data(500, [seed, 1], noise=0)
    right = net.predict(tokens, verbose=0).argmax(-1) == targets
    return attention_layers(net), right[asked > 0].mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    blocks = {}
    for decayed, arm in ((False, "no decay"), (True, f"decay {DECAY}")):
        found = []
        for seed in range(options.seeds):
            heads, accuracy = trained(seed, decayed, options.steps)
            found += heads
            print(f"{arm}, seed {seed}: accuracy {accuracy:.3f}", flush=True)
        of_layers, null = panels(rows_of(found))
        for product, spectra in of_layers.items():
            values = np.concatenate(list(spectra.values()))
            count = pseudo_rank(values).count.mean()
            title = f"{arm}: {count:.1f} of {values.shape[1]} hold 95 %"
            blocks.setdefault(product, {})[title] = values
    figure = plots.spectra(
        blocks,
        null=null,
        title="Weight decay leaves attention heads fewer directions",
        note=f"Associative recall, {options.steps} steps of AdamW; {DEPTH} layers of {HEADS} heads "
        f"from {options.seeds} seeds in each panel. Left: attention is not decayed. Right: decay "
        f"{DECAY} on its four matrices. All else is the same.",
    )
    Path(options.file).write_bytes(plots.png(figure))


if __name__ == "__main__":
    main()
