"""The runs that several findings of Ahn et al. (2024) read, and what is reduced of them."""

import numpy as np

from wdattn.papers.ahn2024.arms import FEWER
from wdattn.papers.ahn2024.settings import Noise, Regression
from wdattn.reproduction.design.experiment import Experiment, Scale
from wdattn.reproduction.design.reductions import few_skipped, reads
from wdattn.reproduction.design.references import Best
from wdattn.reproduction.design.watch import at, end, every, last

MOST_SKIPPED = 0.01


@few_skipped(MOST_SKIPPED)
@reads("loss")
def end_loss(run):
    """Log of the median batch loss at the end: means explode, the loss is a polynomial."""
    return np.log(np.median(np.where(np.isfinite(run["loss"]), run["loss"], np.inf)))


@few_skipped(MOST_SKIPPED)
@reads("condition")
def condition(run):
    """Mean log robust condition number over both times and both evaluation batches."""
    return np.log(run["condition"]).mean()


@reads("noise_tail")
def noise_tail(run):
    """Log of the noise norm's 99.9 % quantile over its median."""
    return np.log(run["noise_tail"][0, 0])


@reads("noise_tail")
def excess_tail(run):
    """The same, less that of Gaussian noise with the same covariance: 0 for Gaussian noise."""
    data, matched = run["noise_tail"][0, :2]
    return np.log(data / matched)


def grid(run):
    """Ten rates about those that the authors chose of ten; their own grid is not printed."""
    if run.covariates == "network":
        return (0.001, 0.01, 0.05, 0.1)
    if run.covariates == "sphere" and run.optimizer == "sgdm":
        return (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
    if run.covariates == "sphere":
        return (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    return (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


SMOKE = {"batch": 64, "steps": 50, "evaluation_prompts": 100}
LAPTOP = {"batch": 256, "steps": 1300}
SEARCHED = {"learning_rate": Best(grid, by=end_loss)}
AUTHORS_RATES = "learning rates are the authors' choices at their scale, not searched again"
OWN_GRID = (
    "the grid is ours and holds the authors' choices; on which seeds they searched is not stated"
)

BASE = Experiment(
    "base",
    Regression,
    {},
    {
        "loss": last(100),
        "skipped": end,
        "evaluation_loss": every(50),
        "condition": at(750, 1250),
        "condition_path": every(250),
        "directional_smoothness": at(*range(100, 1251, 25)),
        "smoothness": at(*range(1, 56, 6), *range(60, 1161, 100)),
        "smoothness_path": at(*range(0, 1251, 25)),
    },
    {
        "smoke": Scale(2, SMOKE, looks=5),
        "laptop": Scale(6, LAPTOP),
        "paper": Scale(6, SEARCHED, {"smoothness_path": at(*range(2000))}),
    },
    source="Ahn et al. (2024), Section 3, Settings 1 to 3, and Section 4.1, spherical covariates",
    expects="Adam's loss far below that of SGD with momentum",
    notes={"laptop": AUTHORS_RATES, "paper": OWN_GRID},
    cost={"smoke": 1.0, "laptop": 3.0, "paper": 30.0},
)

FEWER_CONTEXTS = BASE.vary(
    "fewer-contexts",
    FEWER,
    laptop=Scale(6, {"steps": 1260}),
    source="Ahn et al. (2024), Section 3, Setting 2",
    expects="a larger gap in the condition number than in Setting 1",
    notes={
        "laptop": "the paper's batch, since at 256 the gap does not show; " + AUTHORS_RATES,
        "paper": OWN_GRID,
    },
    cost={"smoke": 1.0, "laptop": 2.6, "paper": 30.0},
)

NETWORK = BASE.vary(
    "network",
    {"covariates": "network", "batch": 2000},
    laptop=Scale(5, LAPTOP | {"evaluation_prompts": 256}),
    paper=Scale(5, SEARCHED),
    source="Ahn et al. (2024), Appendix B (a ReLU network before the regression)",
    expects="the same picture with a nonlinear task",
    notes={
        "laptop": AUTHORS_RATES,
        "paper": "the authors' grid, by the median of the last 100 losses instead of a trial of "
        "400 steps",
    },
    cost={"smoke": 8.0, "laptop": 20.0, "paper": 600.0},
)

NOISE = Experiment(
    "noise",
    Noise,
    {},
    {"noise": at(0), "noise_tail": at(0)},
    {
        "smoke": Scale(2, {"batch": 64, "noise_batches": 50, "reference_factor": 10}),
        "laptop": Scale(5, {"batch": 256, "noise_batches": 3000}),
        "paper": Scale(6),
    },
    source="Ahn et al. (2024), Section 3 (noise figure) and Section 4.1 (covariates)",
    expects="a long right tail in the histogram of ‖gradient error‖ at initialisation, heavier "
    "with heavier-tailed covariates",
    notes={
        "laptop": "smaller batches make the norm larger and its tail heavier, so compare tails at "
        "equal batch only",
        "paper": "6 initialisations instead of 1, so that there is an interval",
    },
    cost={"smoke": 0.5, "laptop": 2.5, "paper": 40.0},
)
