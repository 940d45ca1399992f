"""Ratios of robust condition numbers beside the paper's table, which four findings draw."""

from functools import partial

import numpy as np

from wdattn.ledger.curve_figures import by_panel, in_panels, steps_of
from wdattn.papers.ahn2024.arms import OPTIMIZERS
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

ABOVE = "Above 1 SGD's path is worse conditioned than Adam's."
LOOKS = {"band": "sd/2", "ylabel": "Robust condition number"}


def ratios(
    name, title, experiment, panels, *, heading, claim, caption=ABOVE, threshold=None, **more
):
    """The figure of SGD's over Adam's condition number at each time, a column a panel and time."""
    arms, drawn = in_panels(panels, OPTIMIZERS), partial(draw, title=heading, threshold=threshold)
    return Figure(name, title, experiment, arms, ("condition",), drawn, claim, caption, **more)


def draw(records, note, *, title, threshold):
    """Ratio of both paths for each seed and time, with the paper's table beside it."""
    from wdattn import plots

    gaps, printed = {}, {}
    for panel, labels in by_panel(records, "condition").items():
        logs = {label: np.log(values).mean(-1) for label, values in labels.items()}
        for number, step in enumerate(steps_of(records, "condition")):
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
        ylabel="Robust condition number, SGDM / Adam",
        title=title,
        note=note,
    )
