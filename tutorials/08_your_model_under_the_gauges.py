# %% [markdown]
# # Your model under the gauges
#
# Everything so far used small models made for it. The gauges do not need that: they take any
# Keras model, layers of keras-hub and keras-cv, and weight files in Hugging Face's naming. Here
# we train a small GPT-2 with and without weight decay, and look inside its heads.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # or "tensorflow", or "torch"
SCALE = os.environ.get("WDATTN_SCALE", "laptop")  # "smoke": runs in seconds, shows nothing

# On Colab, type one of these into a cell above, and then restart the session:
#     pip install "wdattn[jax] @ git+https://github.com/wdattn/wdattn"
#     pip install "wdattn[tensorflow] @ git+https://github.com/wdattn/wdattn"
#     pip install "wdattn[torch] @ git+https://github.com/wdattn/wdattn"
# and for a GPU with JAX or TensorFlow one of these (PyTorch brings what it needs):
#     pip install "jax[cuda13]"
#     pip install "tensorflow[and-cuda]"
# For sections 1 to 4 with keras-hub and keras-cv also: pip install keras-hub keras-cv

# %% [markdown]
# ## 1. A model that is not ours
#
# GPT-2's backbone from keras-hub, made small, in memory: nothing is downloaded. Without keras-hub
# we put a similar one together; all that follows is the same.

# %%
import importlib.util

import keras
import numpy as np

from wdattn import callbacks, diagnostics, layers, optimizers, plots, spectra

VOCABULARY, WIDTH, HEADS, TOKENS = 16, 32, 2, 24


def of_keras_hub():
    import keras_hub

    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=VOCABULARY,
        num_layers=2,
        num_heads=HEADS,
        hidden_dim=WIDTH,
        intermediate_dim=2 * WIDTH,
        max_sequence_length=TOKENS,
        dropout=0.0,
    )
    return backbone.input, backbone.output


def of_keras_layers():
    inputs = {
        name: keras.Input((TOKENS,), dtype="int32", name=name)
        for name in ("token_ids", "padding_mask")
    }
    hidden = keras.layers.Embedding(VOCABULARY, WIDTH, name="tokens")(inputs["token_ids"])
    hidden = layers.PositionEmbedding(TOKENS, name="places")(hidden)
    for layer in range(2):
        normed = keras.layers.LayerNormalization(name=f"norm_{layer}")(hidden)
        attention = keras.layers.MultiHeadAttention(
            HEADS, WIDTH // HEADS, name=f"self_attention_{layer}"
        )
        hidden = hidden + attention(normed, normed, use_causal_mask=True)
    return inputs, keras.layers.LayerNormalization(name="norm")(hidden)


def language_model():
    keras.utils.set_random_seed(0)
    found = importlib.util.find_spec("keras_hub") is not None
    inputs, outputs = (of_keras_hub if found else of_keras_layers)()
    return keras.Model(inputs, keras.layers.Dense(VOCABULARY, name="logits")(outputs))


if importlib.util.find_spec("keras_hub") is None:
    print("keras_hub is not installed, so the model is put together here")
model = language_model()
print(f"{model.count_params():,} weights")

# %% [markdown]
# Its task: twelve random tokens, and then the same twelve again. In the second half each next
# token can be known, by looking back to where its predecessor stood before.
#
# ## 2. With and without decay
#
# Only the four matrices of each attention layer decay, with λ = 1 or not at all. That is a lot,
# so we also look whether the task is still learned.
#
# **Guess first.** A head here scores and writes in 16 directions. How many will be left with
# decay?

# %%
UNKNOWN = -1  # a next token that nothing tells; the loss leaves it out
steps = 6 if SCALE == "smoke" else 600
rng = np.random.default_rng(0)


def repeated(count):
    half = rng.integers(0, VOCABULARY, (count, TOKENS // 2 + 1))
    tokens = np.concatenate([half[:, :-1], half], axis=1)
    inputs = {"token_ids": tokens[:, :-1], "padding_mask": np.ones((count, TOKENS), "int32")}
    targets = np.where(np.arange(TOKENS) < TOKENS // 2, UNKNOWN, tokens[:, 1:])
    return inputs, targets


data, (inputs, targets) = repeated(32 * steps), repeated(256)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=UNKNOWN)
groups = {"attention": "attention.*kernel", "everything else": ""}
models = {}
for name, decay in {"no decay": 0.0, "decay": 1.0}.items():
    models[name] = model = language_model()
    attention = [("attention.*kernel", 1.0, 1.0), (".*", 0.0, 1.0)]
    optimizer = optimizers.AdamW(
        3e-3, weight_decay=decay, decay_rules=attention, global_clipnorm=1.0
    )
    model.compile(optimizer, loss)
    gauge = {"norm": lambda model: diagnostics.weight_norms(model, groups).by_group}
    monitor = callbacks.Monitor(gauge, every=max(steps // 10, 1))
    model.fit(*data, batch_size=32, shuffle=False, verbose=0, callbacks=[monitor])
    right = model.predict(inputs, verbose=0).argmax(-1) == targets
    print(f"{name:9} {100 * right.mean(where=targets != UNKNOWN):3.0f} % right", end="; norms: ")
    print({group: f"{norm:.1f}" for group, norm in monitor.rows[-1].items() if "/" in group})

# %% [markdown]
# `attention_layers` finds the heads of any Keras model. What a head does is in two products: one
# scores pairs of tokens, the other writes what was found. Their singular values say how many
# directions are in use; a dot marks how many make up 95 % of the sum.

# %% alt="Singular values of each attention head, without and with weight decay"
blocks = {}
for name, model in models.items():
    rows = spectra.rows_of(diagnostics.attention_layers(model))
    for product in ("key_query", "value_output"):
        mine = [row for row in rows if row["product"] == product]
        count = np.mean([row["pseudo_rank"] for row in mine])
        title = f"{name}: {count:.1f} of 16"
        blocks.setdefault(product, {})[title] = [row["singular_values"] for row in mine]
plots.spectra(blocks, title="What decay leaves of a head")

# %% [markdown]
# Decay on the two factors of a product is a penalty on the product's nuclear norm, and that
# lowers the rank (Kobayashi et al. 2024). Whether it costs anything stands above, behind "right".
#
# ## 3. The other gauges
#
# They take the same models. Where is the loss curved? **Guess first:** in the decayed model, is
# there more curvature in the attention layers, or less?

# %%
batch = {name: array[:32] for name, array in inputs.items()}
for name, model in models.items():
    probes = 4 if SCALE == "smoke" else 30
    trace = diagnostics.hessian_trace(model, batch, targets[:32], probes=probes, groups=groups)
    for group, value in trace.by_group.items():
        error = trace.standard_error_by_group[group]
        print(f"{name:9} trace of the Hessian, {group}: {value:.0f} ± {error:.0f}")

# %% [markdown]
# More: where decay holds weights small, the same step is a larger part of them, and the loss
# notices. A small norm is not a flat place.
#
# ## 4. A layer of keras-cv
#
# One layer is enough, as long as it is built. Without keras-cv we take Keras' own attention.

# %%
if importlib.util.find_spec("keras_cv") is None:
    print("keras_cv is not installed, so this is keras.layers.MultiHeadAttention")
    encoder = keras.layers.MultiHeadAttention(num_heads=4, key_dim=8, name="attention")
    image = keras.Input((49, 32))
    encoder(image, image)
else:
    import keras_cv

    encoder = keras_cv.layers.TransformerEncoder(project_dim=32, num_heads=4, mlp_dim=64)
    encoder(keras.Input((49, 32)))
for found in diagnostics.attention_layers(encoder):
    sigma = spectra.product_spectra(*found.product("key_query"))
    print(found.name, "| heads, rank:", sigma.shape)
    print("directions for 95 %, head by head:", spectra.pseudo_rank(sigma).count)

# %% [markdown]
# ## 5. A weight file, without its model
#
# A safetensors file is a length, a JSON header and the numbers. We write the decayed model's
# attention into one, by the names that Hugging Face gives to GPT-2's tensors, and read it back.
# Reading needs NumPy alone: no backend, and one layer in memory at a time.
#
# **Guess first.** Do the spectra of the file equal those of the model to the last digit?

# %%
import json
import struct
import tempfile
from pathlib import Path


def flat(heads):
    """(heads, width, rank) to (width, heads * rank)."""
    return heads.transpose(1, 0, 2).reshape(heads.shape[1], -1)


own, tensors = diagnostics.attention_layers(models["decay"]), {}
for number, layer in enumerate(own):
    fused = np.concatenate([flat(layer.query), flat(layer.key), flat(layer.value)], axis=1)
    tensors[f"h.{number}.attn.c_attn.weight"] = fused
    tensors[f"h.{number}.attn.c_attn.bias"] = np.zeros(fused.shape[1])
    tensors[f"h.{number}.attn.c_proj.weight"] = flat(layer.output).T

header, blob = {}, b""
for name, array in tensors.items():
    numbers = np.ascontiguousarray(array, "<f4").tobytes()
    place = [len(blob), len(blob) + len(numbers)]
    header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": place}
    blob += numbers
text = json.dumps(header).encode()
file = Path(tempfile.mkdtemp()) / "model.safetensors"
file.write_bytes(struct.pack("<Q", len(text)) + text + blob)

for read, layer in zip(spectra.hugging_face_layers(file, heads=HEADS), own, strict=True):
    mine = spectra.product_spectra(*layer.product("key_query"))
    theirs = spectra.product_spectra(*read.product("key_query"))
    print(read.name, "largest difference:", abs(mine - theirs).max())

# %% [markdown]
# To the last digit: the weights are float32 in both places, and all that is measured is float64.
# The same is one line in a terminal, for files of any size:
#
# ```sh
# wdattn spectra model.safetensors --heads 2 --figure heads.png
# ```
#
# ## Exercises
#
# 1. In section 2 replace the decay's rule by `"all"`. Does the task survive?
# 2. Add `"right": ...` to the monitor's gauges, so that it measures the accuracy while `fit`
#    runs.
# 3. Take `models["decay"]` and read `nuclear_ratio`, `null_nuclear_ratio` and
#    `row_norm_correlation` of its rows. Which of them is evidence of decay?
#
# <details><summary>Answers</summary>
#
# 1. Try it: embeddings and norms then decay at the same strength. `optimizer.decay_table(model)`
#    shows who is hit.
# 2. `lambda model: float((model.predict(inputs, verbose=0).argmax(-1) == targets).mean())`; half
#    of the targets are `UNKNOWN`, so 0.5 is perfect.
# 3. A ratio near 1 alone is not: random weights come close to it. What lies above
#    `null_nuclear_ratio`, and a row norm correlation near 1, is.
#
# </details>
