"""Robust condition numbers: the ratio of both paths at two times, and along the paths."""

from functools import partial

import numpy as np

from wdattn import plots
from wdattn.papers.ahn2024.experiments import BASE, DEPTH, FEWER_CONTEXTS, GAMMA, NETWORK
from wdattn.papers.ahn2024.figures.panels import (
    ALL_DEPTHS,
    COVARIATES,
    DEPTHS,
    OPTIMIZERS,
    both,
    by_panel,
    in_one,
    side_by_side,
    steps_of,
)
from wdattn.reproduction.design.paper import Figure
from wdattn.reproduction.judge.statistics import t_interval

TABLE = {
    ("Setting 1", 750): (1.76, 0.40),
    ("Setting 1", 1250): (1.58, 0.41),
    ("Setting 2", 750): (3.14, 0.97),
    ("Setting 2", 1250): (5.98, 2.86),
    ("Setting 3", 750): (9.57, 13.3),
    ("Setting 3", 1250): (6.53, 3.55),
    ("Appendix B", 750): (5.41, 3.96),
    ("Appendix B", 1250): (6.61, 2.54),
}
"""The paper's ratios of robust condition numbers: mean and standard deviation over its seeds."""

AT_TIMES, ALONG = ("condition",), ("condition_path",)
# A Hessian diagonal every 250 iterations: at laptop scale it is measured where a claim reads it.
LONG = ("paper",)
RATIO = "Robust condition number, SGDM / Adam"
LOOKS = {"column": "condition_path", "band": "sd/2", "ylabel": "Robust condition number"}


def ratios(records, note, *, title, threshold=1.17):
    """Ratio of both paths for each seed and time, with the paper's table beside it."""
    steps = steps_of(records, "condition")
    gaps, printed = {}, {}
    for panel, labels in by_panel(records, "condition").items():
        logs = {label: np.log(values).mean(-1) for label, values in labels.items()}
        for number, step in enumerate(steps):
            column = f"{panel}\nat {step}"
            gaps[column] = (logs["SGDM"] - logs["Adam"])[:, number]
            if (panel, step) in TABLE:
                printed[column] = TABLE[panel, step]
    return plots.ratios(
        {label: np.exp(values) for label, values in gaps.items()},
        intervals={
            label: tuple(np.exp([values.mean(), *t_interval(values)]))
            for label, values in gaps.items()
            if len(values) > 1 and np.isfinite(values).all()
        },
        paper=printed,
        threshold=threshold,
        ylabel=RATIO,
        title=title,
        note=note,
    )


ABOVE = "Above 1 SGD's path is worse conditioned than Adam's."

FIGURES = (
    Figure(
        "condition",
        "Table of robust condition numbers, Settings 1 and 3",
        BASE,
        both({"Setting 1": {}, "Setting 3": GAMMA}),
        AT_TIMES,
        partial(ratios, title="Robust condition number, Settings 1 and 3"),
        "C6",
        ABOVE,
        also=("C8",),
    ),
    Figure(
        "condition-fewer-contexts",
        "Table of robust condition numbers, Setting 2",
        FEWER_CONTEXTS,
        both({"Setting 2": {}}),
        AT_TIMES,
        partial(ratios, title="Robust condition number, Setting 2"),
        "C7",
        f"{ABOVE} Batches of 1000 at every scale but smoke.",
    ),
    Figure(
        "covariates-condition",
        "Covariates: robust condition number at two times",
        BASE,
        both(COVARIATES),
        AT_TIMES,
        partial(ratios, title="Robust condition number by covariates", threshold=None),
        "C9",
        f"{ABOVE} The claim compares the columns: heavy-tailed with spherical.",
    ),
    Figure(
        "covariates-condition-path",
        "Covariates: robust condition number along the paths",
        BASE,
        both(COVARIATES),
        ALONG,
        partial(side_by_side, **LOOKS, title="Robust condition number by covariates"),
        "C9",
        "On one fixed batch every 250 iterations, as the paper draws it.",
        scales=("smoke", "paper"),
    ),
    Figure(
        "depth-condition",
        "Depth: robust condition number at two times",
        DEPTH,
        both(DEPTHS),
        AT_TIMES,
        partial(ratios, title="Robust condition number by depth", threshold=None),
        "C17",
        f"{ABOVE} The claim compares the columns: deeper ones with L = 2.",
    ),
    Figure(
        "depth-condition-path",
        "Depth: robust condition number along the paths",
        DEPTH,
        both(ALL_DEPTHS),
        ALONG,
        partial(side_by_side, **LOOKS, title="Robust condition number by depth", share=True),
        "C17",
        "On one fixed batch every 250 iterations, as the paper draws it.",
        scales=LONG,
    ),
    Figure(
        "network-condition",
        "Appendix B: robust condition number at two times",
        NETWORK,
        both({"Appendix B": {}}),
        AT_TIMES,
        partial(ratios, title="Robust condition number on a network's features", threshold=1.44),
        "C20",
        ABOVE,
    ),
    Figure(
        "network-condition-path",
        "Appendix B: robust condition number along the paths",
        NETWORK,
        OPTIMIZERS,
        ALONG,
        partial(in_one, **LOOKS, title="Robust condition number on a network's features"),
        "C20",
        "The paper: SGDM above Adam until about iteration 7500, then crossing.",
        scales=LONG,
    ),
)
