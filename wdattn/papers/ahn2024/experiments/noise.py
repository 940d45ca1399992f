"""The gradient-noise probes of Ahn et al. (2024): nothing is trained."""

from wdattn.papers.ahn2024.experiments.training import SMOKE_NOTE
from wdattn.papers.ahn2024.settings import Noise
from wdattn.reproduction.design.experiment import Experiment, Scale
from wdattn.reproduction.design.watch import at

WATCH = {"noise": at(0), "noise_tail": at(0)}
SMOKE = {"batch": 64, "noise_batches": 50, "reference_factor": 10}
DEVIATIONS = {
    "smoke": "50 batches of 64 prompts, a reference of 10 such batches instead of 100: "
    + SMOKE_NOTE,
    "laptop": "3000 batches of 256 prompts instead of 10 000 of 1000: smaller batches make "
    "the norm larger and its tail heavier, so compare tails at equal batch only",
}

NOISE = Experiment(
    "noise",
    Noise,
    {},
    WATCH,
    scales={
        "smoke": Scale(2, SMOKE),
        "laptop": Scale(5, {"batch": 256, "noise_batches": 3000}),
        "paper": Scale(6),
    },
    source="Ahn et al. (2024), Section 3 (noise figure) and Section 4.1 (covariates)",
    expects="a long right tail in the histogram of ‖gradient error‖ at initialisation, heavier "
    "with heavier-tailed covariates",
    notes=DEVIATIONS | {"paper": "6 initialisations instead of 1, so that there is an interval"},
    cost={"smoke": 0.5, "laptop": 2.5, "paper": 40.0},
)

DEPTH_NOISE = Experiment(
    "depth-noise",
    Noise,
    {},
    WATCH,
    scales={
        "smoke": Scale(2, SMOKE),
        "laptop": Scale(8, {"batch": 256, "noise_batches": 3000}),
        "paper": Scale(8),
    },
    source="Ahn et al. (2024), Section 4.2 (depth), noise histograms",
    expects="a heavier right tail for L = 6 and 8 than for 2 and 4",
    notes=DEVIATIONS | {"paper": "8 initialisations instead of 1, so that there is an interval"},
    cost={"smoke": 0.5, "laptop": 3.1, "paper": 60.0},
)

NETWORK_NOISE = Experiment(
    "network-noise",
    Noise,
    {"covariates": "network", "batch": 2000, "noise_batches": 100_000},
    WATCH,
    scales={
        "smoke": Scale(2, SMOKE),
        "laptop": Scale(8, {"batch": 256, "noise_batches": 3000}),
        "paper": Scale(8, {"noise_batches": 10_000}),
    },
    source="Ahn et al. (2024), Appendix B, noise histogram with a normal QQ inset",
    expects="a histogram that is skewed to the right, and a QQ curve above the line at its end",
    notes={
        "smoke": DEVIATIONS["smoke"],
        "laptop": "3000 batches of 256 prompts instead of 100 000 of 2000",
        "paper": "10 000 batches instead of 100 000, whose noise vectors would take 4 GB; 8 "
        "initialisations instead of 1, so that there is an interval",
    },
    cost={"smoke": 0.5, "laptop": 10.0, "paper": 300.0},
)

LARGE_NOISE = Experiment(
    "large-noise",
    Noise,
    {"layers": 8, "dim": 20, "context": 60},
    WATCH,
    scales={
        "smoke": Scale(1, {"batch": 16, "noise_batches": 4, "reference_factor": 1}),
        "paper": Scale(1),
    },
    source="Ahn et al. (2024), larger model figure (L = 8, d = 20, n = 60), noise histogram",
    expects="a long right tail",
    notes={
        "smoke": "4 batches of 16 prompts: " + SMOKE_NOTE,
        "paper": "10 000 batches, 6400 parameters: the noise vectors take 0.5 GB",
    },
    cost={"smoke": 2.0, "paper": 1000.0},
)
