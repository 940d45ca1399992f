# %% [markdown]
# # Weight decay you can see
#
# "AdamW with decay 0.1" sounds like a complete description. It is not: the decay can enter the
# step in several ways, follow a schedule, skip some variables, or silently do nothing. Here you
# see each of these happen.

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
# ## 1. A weight that nobody uses
#
# To see decay alone we need a weight without a gradient. The model below is one layer with two
# inputs, and the second input is always 0. Its weight starts at 1, and only decay can move it.
#
# We train with Adam's rule and three ways to let the decay λ in. `"decoupled"` is AdamW, as Keras
# and PyTorch have it. `"l2"` adds λ times the weight to the gradient, as `torch.optim.Adam` does
# with its `weight_decay`. `"corrected"` is a proposal of Defazio (2025).
#
# **Guess first.** The left panel has λ = 1, the right one a tenth of it. Draw the right panel on
# paper before you run the cell. One curve will surprise you.

# %%
import keras
import numpy as np
from keras import ops

from wdattn import callbacks, diagnostics, layers, optimizers, plots, schedules

steps, batch = (20, 4) if SCALE == "smoke" else (400, 4)
rng = np.random.default_rng(0)
x = (rng.normal(size=(steps * batch, 2)) * [1, 0]).astype("float32")
y = 2 * x[:, :1]


def idle_weight(optimizer, *others):
    """The weight of the input that is always 0, measured twenty times on its way."""
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="layer")
    model = keras.Sequential([keras.Input((2,)), layer])
    model.compile(optimizer, loss="mse")
    gauge = {"weight": lambda model: float(ops.convert_to_numpy(layer.kernel)[1, 0])}
    monitor = callbacks.Monitor(gauge, every=steps // 20)
    epochs = {"epochs": 4, "batch_size": batch * 4} if others else {"batch_size": batch}
    model.fit(x, y, shuffle=False, verbose=0, callbacks=[*others, monitor], **epochs)
    return [row["step"] for row in monitor.rows], [row["weight"] for row in monitor.rows]


rate = schedules.Cosine(0.01, steps=steps)
panels = {}
for decay in (1.0, 0.1):
    for coupling in ("decoupled", "corrected", "l2"):
        times, weights = idle_weight(optimizers.AdamW(rate, decay, coupling=coupling))
        panels.setdefault(f"λ = {decay:g}", {})[coupling] = [weights]

# %% alt="A weight without a gradient over steps under three couplings, at two decays"
plots.curve_panels(
    times,
    panels,
    share=True,
    ylabel="The idle weight",
    title="Ten times less decay, and one curve does not care",
    note="Adam's rule, rate 0.01 on a cosine to 0.",
)

# %% [markdown]
# Under `"l2"` the two curves are the same. Adam divides each gradient by its own size, and here
# the gradient is nothing but λ times the weight: λ cancels. **With Adam, "l2" is no dial.** That
# is why AdamW takes the decay out of the gradient, and the curve of `"decoupled"` is a product
# that we can write down:

# %%
for decay in (1.0, 0.1):
    product = np.prod(1 - rate.values(steps) * decay)
    print(f"λ = {decay:g}: measured {panels[f'λ = {decay:g}']['decoupled'][0][-1]:.4f}, "
          f"the product of all (1 − ηλ) is {product:.4f}")  # fmt: skip
for name, coupling in optimizers.COUPLINGS.items():
    print(f"{name:12} {coupling.formula}")

# %% [markdown]
# ## 2. The decay has a schedule, whether you give it one or not
#
# What shrinks a weight is the product ηλ. With a constant λ and a warm-up and cosine for η, the
# shrinkage warms up and fades too.
#
# **Guess first.** Below are four decays for the same rate. Which one shrinks weights evenly from
# the first step to the last? Which one shrinks them least in total?

# %%
rate = schedules.Warmup(steps // 10, schedules.Cosine(0.01, steps=steps, floor=0.001))
decays = {
    "constant": 0.1,
    "to zero": schedules.Linear(0.1, 0.0, steps=steps),
    "with the rate": schedules.ProportionalTo(rate, 10.0),
    "against the rate": schedules.InverseTo(rate, 0.0005),
}
shrinkage = {}
for name, decay in decays.items():
    log = callbacks.StepLog(every=max(steps // 50, 1))
    idle_weight(optimizers.AdamW(rate, decay), log)
    shrinkage[name] = [[row["rate_times_decay"] for row in log.rows]]

# %% alt="Rate times decay over steps for four schedules of the decay"
plots.curves(
    [row["step"] for row in log.rows],
    shrinkage,
    log=False,
    ylabel="ηλ, as StepLog saw it",
    title="Four decays under one learning rate",
)

# %% [markdown]
# `InverseTo` holds the product; only the very first step, whose rate is 0, cannot shrink
# anything. Any schedule of Keras will do as a decay, and so will a function of the step.
#
# ## 3. Who decays?
#
# A small transformer block. **Guess first:** how many of its variables does Keras' own AdamW
# decay?


# %%
def small_model():
    inputs = keras.Input((16,), dtype="int32")
    hidden = keras.layers.Embedding(20, 32, name="embed")(inputs)
    normed = layers.LayerNormalization(name="norm")(hidden)
    hidden = hidden + layers.MultiHeadAttention(2, 16, name="attention")(normed, normed)
    return keras.Model(inputs, keras.layers.Dense(20, name="head")(hidden))


model = small_model()
print(diagnostics.explain_optimizer(keras.optimizers.AdamW(1e-3, weight_decay=0.1), model))

# %% [markdown]
# All of them: biases, the gain of the norm, the embedding. Rules say it better. Each is a
# pattern, a factor for the decay and a factor for the rate; the first pattern found in a
# variable's path decides. **Guess first:** what will the table say of `attention/query/bias`?

# %%
optimizers.AdamW(
    1e-3,
    weight_decay=0.1,
    decay_rules=[
        ("embed", 0.0, 0.1),  # no decay, a tenth of the rate
        ("bias|gamma|beta", 0.0, 1.0),
        ("attention.*kernel", 0.3, 1.0),
        (".*", 1.0, 1.0),
    ],
).decay_table(model)

# %% [markdown]
# ## 4. A trap, caught live
#
# You want to keep biases and the norm out of the decay with a stock optimizer, so you write the
# two lines below. They run without a word. **Guess first:** what decays now?

# %%
stock = keras.optimizers.AdamW(1e-3, weight_decay=0.1)
stock.exclude_from_weight_decay(var_names=["bias"])
stock.exclude_from_weight_decay(var_names=["gamma", "beta"])
diagnostics.explain_optimizer(stock, model)

# %% [markdown]
# The second call took the place of the first: the biases decay again. `explain_optimizer` reads
# what any Keras optimizer really does and warns below its table.
#
# The next trap moves. We want decay in the first half of training only, so a callback sets it to
# 0. **Guess first:** the idle weight of section 1 should stop shrinking half-way. Does it, with
# the stock optimizer? And with ours?


# %%
class Off(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            self.model.optimizer.weight_decay = 0.0


weights = {}
for name, AdamW in {"stock": keras.optimizers.AdamW, "ours": optimizers.AdamW}.items():
    times, weights[name] = idle_weight(AdamW(0.02, weight_decay=0.5), Off())

# %% alt="The idle weight over steps: ours stops shrinking half-way; of the stock one see below"
plots.curves(
    times,
    {name: [values] for name, values in weights.items()},
    log=False,
    ylabel="The idle weight",
    title="A callback sets the decay to 0 half-way",
    note=f"Backend: {keras.config.backend()}.",
)

# %% [markdown]
# On JAX and TensorFlow the stock optimizer takes no notice: its step was compiled with the number
# of the first epoch. On PyTorch it listens. Ours keeps the decay in a variable, so it listens on
# all three. For a decay per epoch there is a callback that needs no class:

# %%
halved = callbacks.WeightDecayScheduler(lambda epoch, decay: decay / 2 if epoch else decay)
model = small_model()
model.compile(optimizers.AdamW(1e-3, weight_decay=0.1), loss="sparse_categorical_crossentropy")
tokens = rng.integers(0, 20, (64, 16))
history = model.fit(tokens, tokens, epochs=4, verbose=0, callbacks=[halved])
print(history.history["weight_decay"])

# %% [markdown]
# ## Exercises
#
# 1. In section 1 add `coupling="independent"` with a decay of 0.01. Which curve does it lie on?
#    Then divide the rate by ten. Which of the curves stay?
# 2. Make the idle weight bfloat16: `keras.config.set_dtype_policy("bfloat16")` before the models
#    of section 4, and a decay of 0.005. Why does the stock optimizer's weight not move at all?
# 3. Give section 3's model `decay_rules="gpt2"`. Which variables does GPT-2's recipe leave out?
#
# <details><summary>Answers</summary>
#
# 1. On that of `"decoupled"` with λ = 1: the decay is no longer multiplied by the rate, and 0.01
#    is 0.01 times 1. At a tenth of the rate `"independent"` stays where it was, all others move.
# 2. A step takes away 0.02 · 0.005 = 0.0001 of it, and near 1 the next smaller number in bfloat16
#    is 0.004 away: each step is rounded back. Ours keeps the remainder and moves.
# 3. Biases and the norm's gain and offset. The embedding decays there.
#
# </details>
#
# Next: [your own model under the gauges](08_your_model_under_the_gauges.ipynb).
