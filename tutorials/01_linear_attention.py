# %% [markdown]
# # Linear attention: one sum in three orders
#
# Softmax attention compares every token with every other: twice the tokens, four times the work.
# Linear attention takes the softmax away, and the cost becomes linear. Why, when does it pay, and
# what is the price?

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

# %% [markdown]
# ## 1. Move the brackets
#
# A query $q_i$ takes from each value $v_j$ a share that grows with its likeness to the key $k_j$.
# Softmax attention measures likeness by $e^{q_i \cdot k_j}$, linear attention by a product of
# features, $\phi(q_i)^\top \phi(k_j)$. And a product lets you move the brackets:
#
# $$\sum_j \big(\phi(q_i)^\top \phi(k_j)\big) \, v_j^\top
#   = \phi(q_i)^\top \Big(\sum_j \phi(k_j) \, v_j^\top\Big)$$
#
# On the left there is a number for each **pair** of tokens. On the right there is one small
# matrix, a sum over **tokens**, that all queries share.
#
# `linear_attention` has both orders and a mixture: `"parallel"` is the left side, `"recurrent"`
# adds to the matrix token by token, `"chunked"` does the left side within chunks and carries the
# matrix from chunk to chunk.
#
# **Guess first.** How far apart are the three results?

# %%
import time

import keras
import numpy as np
from keras import ops

from wdattn import autodiff, layers, plots
from wdattn.data import in_context_regression
from wdattn.ops import linear_attention

rng = np.random.default_rng(0)


def random(*shape):
    return ops.convert_to_tensor(rng.normal(size=shape), "float32")


heads, dim = 4, 32
query, key, value = (random(1, 500, heads, dim) for _ in range(3))
whole = linear_attention(query, key, value, causal=True, form="parallel")
for form in ("chunked", "recurrent"):
    same = linear_attention(query, key, value, causal=True, form=form)
    print(f"{form} and parallel differ by {float(ops.max(ops.abs(same - whole))):.1e}")

# %% [markdown]
# Round-off, and nothing else. The three forms are one function.
#
# ## 2. When does it pay?
#
# **Guess first.** Draw two curves on paper: time against the number of tokens, for Keras' softmax
# attention and for the chunked form. Where do they cross? And where is the recurrent form, which
# does the least arithmetic of all?


# %%
def milliseconds(attend, tokens):
    data = [random(1, tokens, heads, dim) for _ in range(3)]
    attend, spent = autodiff.jit(attend), []
    for _ in range(5):  # the first call compiles
        start = time.perf_counter()
        ops.convert_to_numpy(attend(*data))
        spent.append(1000 * (time.perf_counter() - start))
    return min(spent)


contenders = {
    "softmax": lambda *data: ops.dot_product_attention(*data, is_causal=True),
    "chunked": lambda *data: linear_attention(*data, causal=True),
    "recurrent": lambda *data: linear_attention(*data, causal=True, form="recurrent"),
}
powers = [6, 7] if SCALE == "smoke" else [7, 8, 9, 10, 11, 12]
cost = {
    name: [[milliseconds(attend, 2**power) for power in powers]]
    for name, attend in contenders.items()
}

# %% alt="Milliseconds a call over the number of tokens for three forms of attention, log axes"
plots.curves(
    powers,
    cost,
    xlabel="Tokens, as a power of 2",
    ylabel="Milliseconds a call",
    title="Twice the tokens: four times the work, or twice",
    note=f"Causal, {heads} heads of {dim}, the fastest of five calls. "
    f"Backend: {keras.config.backend()}.",
)

# %% [markdown]
# Look at the slopes at the right end. Softmax climbs by a factor of four for each doubling, the
# linear forms by two. With few tokens there is little between them: **linear is about long
# sequences**. The recurrent form does the least arithmetic, but one token after the other, which
# no processor likes. That is why the chunked one is the default.
#
# ## 3. A memory that does not grow
#
# A language model that writes with softmax attention keeps all keys and values it has seen. Here
# the matrix is enough. We give the tokens in three pieces and hand the state on.

# %%
pieces, state = [], None
for start, stop in ((0, 100), (100, 101), (101, 500)):  # a piece may be a single token
    piece = (tensor[:, start:stop] for tensor in (query, key, value))
    found, state = linear_attention(*piece, causal=True, state=state, return_state=True)
    pieces.append(found)
    print(f"after {stop} tokens the state is {tuple(state.shape)}")
difference = ops.max(ops.abs(ops.concatenate(pieces, axis=1) - whole))
print(f"in pieces and at once differ by {float(difference):.1e}")

# %% [markdown]
# ## 4. The price
#
# A memory of fixed size must forget. We store n pairs of a key and a value, and then ask for each
# value by its key. The keys are as different as they can be: as many as possible are orthogonal.
#
# **Guess first.** A head has 32 features. Up to how many pairs does linear attention answer
# without an error? And softmax attention, with the same keys?


# %%
def pairs(count):
    """Unit keys, orthogonal in groups of `dim`, and random values."""
    groups = [np.linalg.qr(rng.normal(size=(dim, dim)))[0] for _ in range(-(-count // dim))]
    keys = np.concatenate(groups)[:count].reshape(1, count, 1, dim)
    return ops.convert_to_tensor(keys, "float32"), random(1, count, 1, dim)


def error(attend, count):
    """Squared error of the answers over the values' size."""
    keys, values = pairs(count)
    return float(ops.mean((attend(keys, values) - values) ** 2) / ops.mean(values**2))


recall = {
    "linear": lambda keys, values: linear_attention(
        keys, keys, values, feature_map="identity", normalize=False
    ),
    "softmax": lambda keys, values: ops.dot_product_attention(20 * keys, keys, values, scale=1.0),
}
counts = [8, 48] if SCALE == "smoke" else [8, 16, 24, 32, 40, 48, 64, 96, 128]
forgotten = {name: [[error(attend, count) for count in counts]] for name, attend in recall.items()}

# %% alt="Error of recalled values over the number of stored pairs for linear and softmax attention"
plots.curves(
    counts,
    forgotten,
    log=False,
    xlabel="Stored pairs",
    ylabel="Error over the values' size",
    title="What a head of 32 features remembers",
    note="1 is as wrong as no answer at all.",
)

# %% [markdown]
# Perfect up to 32 pairs, then it breaks at once: the matrix has room for 32 directions, and the
# next key must lean on old ones. Softmax picks the best match and hardly notices. This is why
# linear models use wide heads, good feature maps, or ways to erase.
#
# ## 5. In your own model
#
# `LinearAttention` is called as `keras.layers.MultiHeadAttention` is, and takes its weights. Does
# it matter which of them one trains? Each prompt below is a regression of its own: 20 points with
# labels, and a point without one (tutorial 00 tells more).
#
# **Guess first.** One layer of attention, all else equal: softmax, linear attention that divides
# by the sum of its scores, and linear attention that does not. Which one learns regression best?
# And how good can a single layer be?


# %%
def regression(attention):
    """A small model: tokens, one layer of attention, the query's label."""
    inputs = keras.Input((21, 6))
    hidden = keras.layers.Dense(32)(inputs)
    attended = attention(hidden[:, -1:], hidden[:, :-1])  # the query looks at the examples
    return keras.Model(inputs, keras.layers.Dense(1)(attended[:, 0]))


steps = 10 if SCALE == "smoke" else 600
prompts, labels = in_context_regression(128 * steps, context=20, seed=0)
unseen = in_context_regression(2000, context=20, seed=1)
linear = {"feature_map": "identity", "normalize": False}
for name, make in {
    "softmax": lambda: keras.layers.MultiHeadAttention(2, 16),
    "linear, divided": lambda: layers.LinearAttention(2, 16),
    "linear, as it is": lambda: layers.LinearAttention(2, 16, **linear),
}.items():
    keras.utils.set_random_seed(0)
    model = regression(make())
    model.compile(keras.optimizers.Adam(3e-3, global_clipnorm=1.0), loss="mse")
    model.fit(prompts, labels, batch_size=128, shuffle=False, verbose=0)
    found = model.evaluate(*unseen, verbose=0) / float(np.var(unseen[1]))
    print(f"{name:17} error on new prompts: {found:.2f} of the labels' variance")
print(f"one step of gradient descent, at its best: {(5 + 1) / (20 + 5 + 1):.2f}")

# %% [markdown]
# All three come to the same place, and a formula knows it. With $k_j = q_j = x_j$ and $v_j = y_j$
# the sum $\sum_j (q \cdot k_j)\, v_j$ is $x^\top \sum_j x_j y_j$: **one step of gradient
# descent** from $w = 0$, on the squared error of the prompt's own examples. With the best step
# size its error is $(d + 1)/(n + d + 1)$ of the variance. A softmax whose scores are small is
# nearly linear, so it ends there too. To do better takes more steps, and those are more layers:
# tutorial 02.
#
# ## Exercises
#
# 1. Take `feature_map="elu"` or `"relu"`, with `normalize=True`, in section 4. What happens?
# 2. In section 2 add `form=Chunked(16)` and `Chunked(512)`, from `wdattn.ops`, as contenders. Why
#    is neither the best?
# 3. In section 5 let the prompts have 5 examples in place of 20 (`context=5`, and 6 tokens in the
#    model). What does the formula say, and what do the three layers say?
#
# <details><summary>Answers</summary>
#
# 1. There are errors from the second pair on: after these maps all features are 0 or more, and
#    orthogonal keys no longer have orthogonal features.
# 2. Each chunk writes a matrix of its own, so small chunks mean many matrices to write and to
#    read. Within large ones all pairs are formed, so that the cost of a token grows with the chunk.
# 3. The formula says 0.55, and after 600 steps all three are at about 0.6, on their way: five
#    examples leave a gradient step little to go by.
#
# </details>
#
# Next: [a stack of such layers, and a paper about its training](02_linear_transformer.ipynb).
