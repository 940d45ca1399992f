"""The figures of Ahn et al. (2024) for the claims that are measured, drawn from records alone."""

import numpy as np

from wdattn import plots
from wdattn.papers.ahn2024.experiments import ADAM, BASE, GAMMA, NOISE, SGDM, SPHERE
from wdattn.reproduction.paper import Figure
from wdattn.reproduction.statistics import t_interval

OPTIMIZERS = {"SGDM": SGDM, "Adam": ADAM}
TABLE = {"iteration 750": (1.76, 0.40), "iteration 1250": (1.58, 0.41)}
"""The paper's ratio of robust condition numbers in Setting 1: mean and standard deviation."""


def stacked(records, column):
    """One column of the records of an arm: `(seeds, times, ...)`."""
    return np.stack([record[column] for record in records])


def gap(records, note):
    """Loss on the fixed batch against the iteration, for both optimizers."""
    return plots.curves(
        records["SGDM"][0].steps("evaluation_loss"),
        {label: stacked(runs, "evaluation_loss") for label, runs in records.items()},
        band="sd/4",
        ylabel="Loss on 1000 fixed prompts",
        title="Adam against SGD with momentum, Setting 1",
        note=note,
    )


def overlay(records, note):
    """The same curves on every backend, and how far they part."""
    first = next(iter(records.values()))
    return plots.backend_overlay(
        first["SGDM"][0].steps("evaluation_loss"),
        {
            label: {name: stacked(on[label], "evaluation_loss") for name, on in records.items()}
            for label in first
        },
        ylabel="Loss on 1000 fixed prompts",
        title="One seed, one curve: the same runs on each backend",
        note=note,
    )


def noise(records, note):
    """Histograms of the norm of the gradient noise, with those of matched Gaussians."""
    norms = {label: stacked(runs, "noise")[:, 0] for label, runs in records.items()}
    return plots.histogram(
        {label: own[:, 0] for label, own in norms.items()},
        matched={label: own[:, 1] for label, own in norms.items()},
        title="Gradient noise at initialisation",
        note=note,
    )


def condition(records, note):
    """Ratio of robust condition numbers for each seed, with the paper's table beside it."""
    logs = {label: np.log(stacked(runs, "condition")).mean(-1) for label, runs in records.items()}
    gaps = dict(
        zip(
            (f"iteration {step}" for step in records["SGDM"][0].steps("condition")),
            (logs["SGDM"] - logs["Adam"]).T,
            strict=True,
        )
    )
    return plots.ratios(
        {label: np.exp(values) for label, values in gaps.items()},
        intervals={
            label: tuple(np.exp([values.mean(), *t_interval(values)]))
            for label, values in gaps.items()
            if len(values) > 1 and np.isfinite(values).all()
        },
        paper={label: printed for label, printed in TABLE.items() if label in gaps},
        threshold=1.17,
        ylabel="Robust condition number, SGDM / Adam",
        title="Robust condition number, Setting 1",
        note=note,
    )


def directional_smoothness(records, note):
    """Curvature along the step against the iteration."""
    return plots.curves(
        records["SGDM"][0].steps("directional_smoothness"),
        {label: stacked(runs, "directional_smoothness") for label, runs in records.items()},
        ylabel="Directional smoothness",
        title="Directional smoothness, Setting 1",
        note=note,
    )


def smoothness(records, note):
    """Spectral norm of the Hessian against the gradient norm, a dot an iterate."""
    (label,) = records
    gradient_norm, spectral_norm = np.moveaxis(stacked(records[label], "smoothness"), -1, 0)
    return plots.scatter(
        gradient_norm,
        spectral_norm,
        records[label][0].steps("smoothness"),
        seeds=[record.settings.seed for record in records[label]],
        title="Curvature against gradient norm along Adam's path, Setting 1",
        note=note,
    )


FIGURES = (
    Figure(
        "gap",
        "Gap figure, Setting 1",
        BASE,
        OPTIMIZERS,
        ("evaluation_loss",),
        gap,
        "C1",
        "Mean over seeds on a log scale, as the paper draws it; the verdict uses the median of the "
        "last 100 batch losses.",
    ),
    Figure(
        "backends",
        "The same seed on each backend",
        BASE,
        OPTIMIZERS,
        ("evaluation_loss",),
        overlay,
        "C1",
        "Starts and batches are equal to the bit; what grows is round-off.",
        across=True,
    ),
    Figure(
        "noise",
        "Noise histograms, spherical and heavy-tailed covariates",
        NOISE,
        {"spherical": SPHERE, "heavy-tailed": GAMMA},
        ("noise",),
        noise,
        "C5",
        "The outline is a Gaussian vector with the same covariance: a norm is skewed even then.",
    ),
    Figure(
        "condition",
        "Table of robust condition numbers, Setting 1",
        BASE,
        OPTIMIZERS,
        ("condition",),
        condition,
        "C6",
        "Above 1 SGD's path is worse conditioned than Adam's.",
    ),
    Figure(
        "directional-smoothness",
        "Directional smoothness figure, Setting 1",
        BASE,
        OPTIMIZERS,
        ("directional_smoothness",),
        directional_smoothness,
        "C10",
        "Curvature of the loss along each optimizer's own steps.",
    ),
    Figure(
        "smoothness",
        "Generalised smoothness figure, Setting 1",
        BASE,
        {"Adam": ADAM},
        ("smoothness",),
        smoothness,
        "C11",
        "Each dot is an iterate; a line that rises says that curvature grows with the gradient.",
    ),
)
