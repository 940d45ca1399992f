"""A larger model shows the same picture; no claim is judged on it."""

from wdattn.ledger.curve_figures import curve_figure
from wdattn.papers.ahn2024.arms import OPTIMIZERS
from wdattn.papers.ahn2024.experiments import BASE, NOISE, OWN_GRID, SEARCHED
from wdattn.papers.ahn2024.noise_figures import OUTLINE, histograms
from wdattn.reproduction.design.experiment import Scale

SIZE = {"layers": 8, "dim": 20, "context": 60}

LARGE = BASE.vary(
    "large",
    SIZE,
    smoke=Scale(
        2, {"batch": 16, "steps": 4, "evaluation_prompts": 16, "learning_rate": 0.01}, looks=2
    ),
    laptop=None,
    paper=Scale(6, SEARCHED),
    source="Ahn et al. (2024), larger model figure (L = 8, d = 20, n = 60)",
    expects="the same picture as with 3 layers in 5 dimensions",
    notes={"paper": OWN_GRID},
    cost={"smoke": 2.0, "paper": 2000.0},
)
LARGE_NOISE = NOISE.vary(
    "large-noise",
    SIZE,
    smoke=Scale(1, {"batch": 16, "noise_batches": 4, "reference_factor": 1}),
    laptop=None,
    paper=Scale(1),
    source="Ahn et al. (2024), larger model figure (L = 8, d = 20, n = 60), noise histogram",
    expects="a long right tail",
    notes={"paper": "6400 parameters: the noise vectors take 0.5 GB"},
    cost={"smoke": 2.0, "paper": 1000.0},
)

STUDIES = (LARGE, LARGE_NOISE)
FIGURES = (
    curve_figure(
        "large-loss",
        "Larger model figure: loss",
        LARGE,
        OPTIMIZERS,
        "evaluation_loss",
        heading="Larger model: L = 8, d = 20, n = 60",
        ylabel="Loss on a fixed batch",
        caption="The paper: the same picture as with 3 layers in 5 dimensions.",
    ),
    histograms(
        "large-noise",
        "Larger model figure: noise",
        LARGE_NOISE,
        {"L = 8, d = 20, n = 60": {}},
        heading="Gradient noise, larger model",
        caption=OUTLINE,
    ),
)
