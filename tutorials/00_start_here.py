# %% [markdown]
# # Start here: layers, an optimizer and gauges in your own `fit`
#
# wdattn is a box of Keras parts for looking at attention and weight decay while a model trains.
# This notebook takes five minutes and uses one part of each kind: data, a model, a gauge, a
# layer, an optimizer. All of it runs the same on JAX, TensorFlow and PyTorch.
#
# First choose the backend. It is fixed when Keras is imported, so this cell comes first.

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
# ## 1. 150 numbers that do regression
#
# Each prompt holds 20 examples of a task: points $x_i$, and labels that are linear in them,
# $y_i = w \cdot x_i$. The last token is a point without its label, which the model must find.
# Every prompt has a new $w$, so there is nothing to memorise. The model is three layers of
# attention **without a softmax**.

# %%
import keras
import numpy as np

from wdattn import callbacks, diagnostics, layers, optimizers, plots, schedules
from wdattn.data import in_context_regression
from wdattn.models import LinearTransformer

steps = 10 if SCALE == "smoke" else 600
prompts, labels = in_context_regression(256 * steps, context=20, seed=0)
unseen = in_context_regression(1000, context=20, seed=1)
print("prompts", prompts.shape, "labels", labels.shape)
print("trained numbers:", LinearTransformer(depth=3, dim=5, seed=0).count_params())

# %% [markdown]
# **Guess first.** We train it twice, from the same start, on the same batches, with the same
# learning rate: once with SGD and momentum, once with Adam. How many times lower will Adam's loss
# be after 600 steps: 1.2 times, 3 times, or more than 5?
#
# Two callbacks look on. `StepLog` keeps the loss of single steps (Keras' own number is the mean
# of the epoch so far). `Monitor` measures whatever you give it, here the condition number of the
# loss.


# %%
def train(optimizer):
    model = LinearTransformer(depth=3, dim=5, seed=0)  # the same start each time
    model.compile(optimizer, loss="mse")
    log = callbacks.StepLog(every=5)
    gauge = {"condition": lambda model: diagnostics.condition_number(model, *unseen).value}
    monitor = callbacks.Monitor(gauge, every=100)
    model.fit(prompts, labels, batch_size=256, shuffle=False, verbose=0, callbacks=[log, monitor])
    return log.rows, monitor.rows


sgdm = train(keras.optimizers.SGD(0.02, momentum=0.9, global_clipnorm=1.0))
adam = train(keras.optimizers.Adam(0.02, beta_2=0.9, global_clipnorm=1.0))

# %% alt="Loss over steps on a log axis: Adam ends far below SGD with momentum"
loss = {name: [[row["loss"] for row in rows]] for name, (rows, _) in
        {"SGDM": sgdm, "Adam": adam}.items()}  # fmt: skip
last = {name: np.median(series[0][-20:]) for name, series in loss.items()}
plots.curves(
    [row["step"] for row in sgdm[0]],
    loss,
    title="The same start, the same batches",
    note=f"At the end Adam's loss is {last['SGDM'] / last['Adam']:.1f} times lower.",
)

# %% [markdown]
# ## 2. What did the gauge see?
#
# The model is tiny and the task is linear, so why does the optimizer matter so much? One suspect
# is the landscape: how different are the steepest and the typical direction of the loss? The
# condition number says so: the largest entry of the Hessian's diagonal over its median.
#
# **Guess first.** Both runs start at the same place. Whose path leads through the worse
# conditioned places?

# %% alt="Condition number of the loss over steps for both optimizers"
plots.curves(
    [row["step"] for row in sgdm[1]],
    {name: [[row["condition"] for row in rows]] for name, rows in
     {"SGDM": sgdm[1], "Adam": adam[1]}.items()},
    ylabel="Robust condition number",
    title="The landscape along each path",
    note="One run each, so take it as a hint. Tutorial 02 asks again, with an interval over seeds.",
)  # fmt: skip

# %% [markdown]
# Adam soon walks where all directions are about equally steep; SGD stays where a few are far
# steeper than the rest, and must take small steps for their sake.
#
# ## 3. A layer, in place of the one you have
#
# `wdattn.layers.MultiHeadAttention` is called as Keras' own layer is, and takes its weights. What
# is new: its factors are open, head by head.
#
# **Guess first.** The two layers below have the same weights. How far apart are their outputs?

# %%
theirs = keras.layers.MultiHeadAttention(num_heads=2, key_dim=16)
ours = layers.MultiHeadAttention(num_heads=2, key_dim=16)
tokens = prompts[:8]
theirs.build(tokens.shape, tokens.shape)
ours.build(tokens.shape, tokens.shape)
ours.set_weights(theirs.get_weights())
apart = keras.ops.convert_to_numpy(ours(tokens, tokens) - theirs(tokens, tokens))
print("largest difference:", abs(apart).max())
print({name: tuple(factor.shape) for name, factor in vars(ours.factors()).items()})

# %% [markdown]
# ## 4. An optimizer that says what it does
#
# A stock optimizer takes one constant weight decay and applies it to every variable. Here the
# decay is a schedule, and a rule says whom it is for. The table shows who decays, and how much of
# each weight the next step takes away. **Guess first:** which variables does `"no_bias_norm"`
# leave alone?

# %%
inputs = keras.Input((21, 6))
hidden = keras.layers.Dense(32, name="embed")(inputs)
attended = layers.MultiHeadAttention(2, 16, name="attention")(hidden, hidden)
hidden = layers.LayerNormalization(name="norm")(hidden + attended)
model = keras.Model(inputs, keras.layers.Dense(1, name="label")(hidden[:, -1]))

optimizer = optimizers.AdamW(
    schedules.Cosine(3e-3, steps=steps),
    weight_decay=schedules.Linear(0.1, 0.0, steps=steps),
    decay_rules="no_bias_norm",
)
model.compile(optimizer, loss="mse")
optimizer.decay_table(model)

# %%
log = callbacks.StepLog(every=max(steps // 5, 1))
model.fit(prompts, labels, batch_size=256, shuffle=False, verbose=0, callbacks=[log])
for row in log.rows:
    print({name: round(value, 6) for name, value in row.items()})

# %% [markdown]
# ## Exercises
#
# 1. Change the backend in the first cell, restart, and run all cells. What changes?
# 2. Give `in_context_regression` the argument `setting="gamma"`: points with heavy tails. What
#    happens to the curves of section 1, and why do the papers' claims compare medians?
# 3. Take `decay_rules="attention_only"` in section 4 and look at the table.
#
# <details><summary>Answers</summary>
#
# 1. Section 1 begins with the same numbers: start and batches are equal to the bit. Round-off is
#    not, and training makes it grow, so late digits differ. The story does not.
# 2. The loss jumps by orders of magnitude: the output is a polynomial of high degree in the
#    prompt, so a single prompt with large points rules the mean of a batch. A median does not see
#    it.
# 3. Only the four kernels of `attention` decay. The biases stay alone in both cases.
#
# </details>
#
# Next: [why linear attention is linear](01_linear_attention.ipynb), [the paper behind section
# 1](02_linear_transformer.ipynb), [weight decay you can see](03_weight_decay_you_can_see.ipynb),
# [your own model under the gauges](08_your_model_under_the_gauges.ipynb).
