# %% [markdown]
# # A linear transformer, and a paper about its training
#
# Transformers train in ways that other networks do not. Adam outruns SGD by far; the noise of
# their gradients has heavy tails; the curvature of the loss changes along the path. Ahn et al.
# (ICLR 2024) ask how small a model can be and still show it, and answer: three layers of
# attention without a softmax, 150 numbers, which learn to do regression.
#
# Is it so? wdattn keeps each finding as a **claim**: a number with a threshold that was fixed
# before the run, an interval over seeds, and a control in which the mechanism is removed. Here
# you re-measure three of them. (Tutorial 00 shows the model and its data.)

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
# ## 1. Does Adam outrun SGD? (C1)
#
# **Guess first.** Both optimizers have the learning rate that the authors chose for them, 0.02 as
# it happens, and run for 1300 steps. Whose loss is lower, and by what factor? What if the model
# had one layer instead of three?
#
# The cell trains 16 models: two optimizers, four seeds, with three layers and, as the control,
# with one. That takes a minute; a second call reads what the first one stored.

# %%
from collections import Counter
from pathlib import Path

import wdattn
from wdattn import papers, plots, reproduction

seeds = {"smoke": 2}.get(SCALE, 4)
settings = {"scale": SCALE, "seeds": seeds}
ledger = wdattn.reproduce("ahn2024", claim="C1", controls=True, **settings)
ledger

# %% [markdown]
# The interval holds the mean over seeds. *Reproduced* means that all of it lies beyond the
# smallest factor that would count. The control has no gap, so depth is part of the story. The
# runs behind the row are plain records, to be drawn as you like:

# %% alt="Loss of SGD with momentum and of Adam over the last steps, with one layer and with three"
records = reproduction.load("results/ahn2024")
panels = {}
for layers, title in {1: "1 layer", 3: "3 layers"}.items():
    for optimizer, label in {"sgdm": "SGDM", "adam": "Adam"}.items():
        runs = [
            run
            for run in records
            if "loss" in run.columns and run.settings.layers == layers
            if run.settings.optimizer == optimizer
        ]
        panels.setdefault(title, {})[label] = [run["loss"] for run in runs]
plots.curve_panels(
    runs[0].steps("loss"),
    panels,
    share=True,
    band="log sd/4",
    title="One layer is too few to tell the optimizers apart",
    note=plots.caption(SCALE, ledger[0].backend, range(seeds), "The steps that C1 reads."),
)

# %% [markdown]
# ## 2. Is SGD's path worse conditioned? (C6)
#
# One suspect is the landscape: along the path, how much steeper is the steepest direction than a
# typical one? The *robust condition number* is the largest entry of the Hessian's diagonal over
# its median.
#
# **Guess first.** Whose path has the larger condition number? Will four seeds be enough to be
# sure?

# %%
wdattn.reproduce("ahn2024", claim="C6", **settings)

# %% [markdown]
# ## 3. Where do heavy tails come from? (C5)
#
# The noise of the gradient is what one batch's gradient has that the true one has not. The
# authors see heavier tails of it where the data has heavier tails. Nothing is trained here: 3000
# gradients at the start, with points on a sphere and with heavy-tailed points.
#
# **Guess first.** How many times heavier is the tail: 1.2 times, 2 times, 5 times?

# %%
wdattn.reproduce("ahn2024", claim="C5", **settings)

# %% [markdown]
# ## 4. The whole ledger, on three backends
#
# The repository holds the records of every claim on JAX, TensorFlow and PyTorch. They are judged
# anew here, not copied. Without a checkout you see your own rows instead.
#
# **Guess first.** Same code, same seeds, same batches, another backend. How many verdicts change?

# %% alt="Forest plot of the headline claims: effect, interval, verdict and control per backend"
stored = Path(wdattn.__file__).parents[1] / "docs" / "records"
everything = papers.judged(stored if stored.exists() else "results")
headline = papers.lookup("ahn2024").headline
plots.ledger([row for row in everything if row.claim in headline], title="The headline claims")

# %%
verdicts = {}
for row in everything:
    verdicts.setdefault(row.claim, {})[row.backend] = row.verdict
for claim, of_backend in verdicts.items():
    if len(set(of_backend.values())) > 1:
        print(claim, of_backend)
print("rows of the ledger:", dict(Counter(row.verdict for row in everything)))

# %% [markdown]
# Start and batches are equal to the bit on each backend. Round-off is not, and training amplifies
# it. So a claim whose interval lies close to its threshold can fall on either side, and one with
# a rate close to the cliff can lose a run. Does any of these changes turn *reproduced* into
# *contradicted*?
#
# ## Exercises
#
# 1. Run C1 again on seeds that nobody has looked at: `seeds=range(100, 104)`. Does the verdict
#    hold?
# 2. What would the paper's own settings cost? `papers.plan("ahn2024", claim="C1", scale="paper")`
#    says it without running anything.
# 3. C18 says that softmax attention trains far worse than linear attention. Read its remark,
#    `papers.lookup("ahn2024").claim("C18").remark`. Would you tell a friend that linear is
#    better?
#
# <details><summary>Answers</summary>
#
# 1. It should: the threshold is a factor of 2, and the interval is far above it. If it did not,
#    that would be a finding.
# 2. Batches of 1000, 10,000 steps, and a search over ten learning rates for each optimizer: hours
#    on a laptop, which is what the laptop scale is for.
# 3. Not on this evidence. In that setup a layer with softmax can move the label only a little, so
#    the comparison is lost before it begins; tutorial 01 gives softmax a fair chance, and it does
#    as well.
#
# </details>
#
# Next: [weight decay you can see](03_weight_decay_you_can_see.ipynb).
