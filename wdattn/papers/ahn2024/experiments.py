"""The experiments of Ahn et al. (2024): what is run, what is watched, at which scale."""

from wdattn.papers.ahn2024.settings import Noise, Regression
from wdattn.reproduction.experiment import Experiment, Scale, at, every, last

SGDM, ADAM = {"optimizer": "sgdm"}, {"optimizer": "adam"}
GAMMA, SPHERE = {"setting": "gamma"}, {"setting": "sphere"}

BASE = Experiment(
    "base",
    Regression,
    {},
    watch={
        "loss": last(100),
        "evaluation_loss": every(50),
        "condition": at(750, 1250),
        "directional_smoothness": at(*range(100, 1251, 25)),
        "smoothness": at(*range(1, 56, 6), *range(60, 1161, 100)),
    },
    scales={
        "smoke": Scale(
            2,
            {"batch": 64, "steps": 50, "evaluation_prompts": 100},
            {
                "loss": last(10),
                "evaluation_loss": every(10),
                "condition": at(25, 50),
                "directional_smoothness": at(10, 20, 30, 40),
                "smoothness": at(1, 10, 20, 30, 40),
            },
        ),
        "laptop": Scale(6, {"batch": 256, "steps": 1300}),
        "paper": Scale(6),
    },
    source="Ahn et al. (2024), Section 3, Setting 1",
    expects="Adam's loss far below that of SGD with momentum",
    deviations={
        "smoke": "batch 64 instead of 1000, 50 steps instead of 10 000, 2 seeds instead of 6: "
        "shows that everything runs, decides nothing",
        "laptop": "batch 256 instead of 1000, 1300 steps instead of 10 000; learning rates are "
        "the authors' choices at their scale, not searched again",
        "paper": "none that is known; learning rates are the authors' choices, not searched again",
    },
    cost={"smoke": 0.5, "laptop": 3.0, "paper": 60.0},
)

NOISE = Experiment(
    "noise",
    Noise,
    {},
    watch={"noise": at(0), "noise_tail": at(0)},
    scales={
        "smoke": Scale(2, {"batch": 64, "noise_batches": 50, "reference_factor": 10}),
        "laptop": Scale(5, {"batch": 256, "noise_batches": 3000}),
        "paper": Scale(6),
    },
    source="Ahn et al. (2024), Section 3 (noise figure) and Section 4.1 (covariates)",
    expects="a long right tail in the histogram of ‖gradient error‖ at initialisation, heavier "
    "with heavier-tailed covariates",
    deviations={
        "smoke": "50 batches of 64 prompts, a reference of 10 such batches instead of 100: shows "
        "that everything runs, decides nothing",
        "laptop": "3000 batches of 256 prompts instead of 10 000 of 1000: smaller batches make "
        "the norm larger and its tail heavier, so compare tails at equal batch only",
        "paper": "6 initialisations instead of 1, so that there is an interval",
    },
    cost={"smoke": 0.5, "laptop": 8.0, "paper": 120.0},
)
