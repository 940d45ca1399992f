"""Ahn et al. (2024): what it is called, its headline claims and its tables."""

from wdattn.papers.ahn2024.arms import FEWER, GAMMA, OPTIMIZERS, SPHERE
from wdattn.papers.ahn2024.experiments import BASE, FEWER_CONTEXTS, NETWORK
from wdattn.reproduction.design.paper import Paper, Table

TASKS = {
    "Setting 1": (BASE, {}),
    "Setting 2": (BASE, FEWER),
    "Setting 2, condition numbers and curvature": (FEWER_CONTEXTS, {}),
    "Setting 3": (BASE, GAMMA),
    "spherical": (BASE, SPHERE),
    "Appendix B": (NETWORK, {}),
}
CHOSEN = [name for name in TASKS if "curvature" not in name]

PAPER = Paper.of_findings(
    "wdattn.papers.ahn2024",
    key="ahn2024",
    title="Linear attention is (maybe) all you need (to understand Transformer optimization)",
    citation="K. Ahn, X. Cheng, M. Song, C. Yun, A. Jadbabaie, S. Sra, ICLR 2024, arXiv 2310.01082",
    headline=("C1", "C5", "C6", "C10", "C11"),
    tables=(
        Table(
            "Settings.",
            "Covariates x are N(0, I) (normal, and network, whose labels are linear in a ReLU "
            "network of x), √Γ(shape 0.1, scale 10) times a uniform direction (gamma), or a "
            "uniform direction (sphere), in 5 dimensions. The model has 3 layers where nothing "
            "else is said. Tasks w are N(0, I), labels have no noise.",
            TASKS,
            ("context", "covariates", "batch", "steps"),
        ),
        Table(
            "Learning rates, the authors' choices.",
            "They searched ten values a line, four in Appendix B; the laptop scale uses these and "
            "does not search again.",
            {
                f"{name}, {label}": (TASKS[name][0], {**TASKS[name][1], **optimizer})
                for name in CHOSEN
                for label, optimizer in OPTIMIZERS.items()
            },
            ("learning_rate", "clipnorm"),
        ),
    ),
)
