"""What the figures share: arms by panel, columns of records as arrays, and curves of them."""

import numpy as np

from wdattn import plots
from wdattn.papers.ahn2024.experiments import ADAM, FEWER, GAMMA, SGDM, SPHERE

OPTIMIZERS = {"SGDM": SGDM, "Adam": ADAM}
SETTINGS = {"Setting 1": {}, "Setting 2, 5 contexts": FEWER, "Setting 3, heavy-tailed": GAMMA}
COVARIATES = {"spherical": SPHERE, "heavy-tailed": GAMMA}
DEPTHS = {f"L = {layers}": {"layers": layers} for layers in (2, 4, 8)}
ALL_DEPTHS = {f"L = {layers}": {"layers": layers} for layers in (2, 4, 6, 8)}


def both(panels):
    """The arms of both optimizers in each panel, under names that `by_panel` takes apart."""
    return {
        f"{panel} | {label}": {**optimizer, **arm}
        for panel, arm in panels.items()
        for label, optimizer in OPTIMIZERS.items()
    }


def apart(panels):
    """The arms under names that `by_panel` takes apart: one arm in each panel."""
    return {f"{panel} | noise": arm for panel, arm in panels.items()}


def stacked(records, column):
    """One column of the records of an arm: `(seeds, times, ...)`."""
    return np.stack([record[column] for record in records])


def by_panel(records, column):
    """Panel to label to `(seeds, times, ...)`."""
    panels = {}
    for name, runs in records.items():
        panel, label = name.split(" | ")
        panels.setdefault(panel, {})[label] = stacked(runs, column)
    return panels


def steps_of(records, column):
    """The iterates at which a column was measured, the same in every arm."""
    return next(iter(records.values()))[0].steps(column)


def side_by_side(records, note, *, column, **looks):
    """A column along training, a panel a setting; `looks` are those of `plots.curve_panels`."""
    steps, panels = steps_of(records, column), by_panel(records, column)
    return plots.curve_panels(steps, panels, note=note, **looks)


def in_one(records, note, *, column, **looks):
    """A column along training, a curve an arm; `looks` are those of `plots.curves`."""
    arms = {label: stacked(runs, column) for label, runs in records.items()}
    return plots.curves(steps_of(records, column), arms, note=note, **looks)
