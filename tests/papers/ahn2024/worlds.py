"""What the runs of each claim of Ahn et al. (2024) would have if the paper is right."""

import numpy as np


def near(value, spread=0.1):
    """A positive number about `value`; as many as `value` has entries."""
    return lambda rng: np.asarray(value) * np.exp(spread * rng.normal(size=np.shape(value)))


def loss(run, rng):
    """Falls with depth and with lighter covariates; Adam's gap grows with depth, from none."""
    level = 0.5**run.layers / (100 if run.covariates == "sphere" else 1)
    level *= 100 if run.activation == "softmax" else 1
    return near(level / (2.0**run.layers if run.optimizer == "adam" and run.layers > 1 else 1))(rng)


def condition(run, rng):
    """SGD's grows with depth, and more so with heavy tails."""
    gap = 1.5 ** (run.layers - 1) * (4 if run.covariates == "gamma" else 1)
    return near([12.0 * gap if run.optimizer == "sgdm" else 12.0] * 2)(rng)


def smoothness(run, rng):
    gradient = np.exp(rng.uniform(-4, 4))
    return [gradient, near(gradient ** (0.6 if run.layers > 1 else 0))(rng)]


def tail(run, rng):
    """Heavier with heavy-tailed covariates and with depth; a Gaussian's own if it is Gaussian."""
    data = (7.0 if run.covariates == "gamma" else 1.6) * 1.05**run.layers
    return near([1.3 if run.gaussian else data, 1.3, 1, 1, 9])(rng)


def none_skipped(run, rng):
    return 0.0


LOSS = {"loss": loss, "skipped": none_skipped}  # rates are searched by them, whatever is read
CONDITION = LOSS | {"condition": condition}
ALONG = LOSS | {"directional_smoothness": lambda run, rng: -10 * loss(run, rng)}
SMOOTHNESS = LOSS | {"smoothness": smoothness}
TAIL = {"noise_tail": tail}

# For each column behind the claim, what a run with these settings would have in one cell if the
# paper is right. The control's arms must then do without the effect by themselves.
WORLDS = {
    **{f"C{n}": LOSS for n in (1, 2, 3, 12, 13, 14, 15, 18, 19)},
    **{f"C{n}": TAIL for n in (4, 5, 16, 21)},
    **{f"C{n}": CONDITION for n in (6, 7, 8, 9, 17, 20)},
    **{f"C{n}": ALONG for n in (10, 22, 23)},
    **{f"C{n}": SMOOTHNESS for n in (11, 24, 25)},
}
