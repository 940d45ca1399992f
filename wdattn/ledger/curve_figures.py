"""Figures of columns along training, which most papers draw: panels of arms, curves of a column."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from wdattn.reproduction.design.experiment import Arm, Experiment
from wdattn.reproduction.design.paper import Figure
from wdattn.reproduction.design.record import Record

Shown = Mapping[str, Sequence[Record]]


def in_panels(panels: Mapping[str, Arm], curves: Mapping[str, Arm]) -> dict[str, Arm]:
    """The arms of each curve in each panel, under labels that `Figure.panel` takes apart.

    Args:
        panels: label to arm.
        curves: label to arm.
    """
    return {
        f"{panel} | {label}": {**own, **arm}
        for panel, arm in panels.items()
        for label, own in curves.items()
    }


def stacked(records: Sequence[Record], column: str) -> np.ndarray:
    """One column of the records of an arm: `(seeds, times, ...)`.

    Args:
        records: of one arm, a record a seed.
        column: one that they all have, at the same iterates.
    """
    return np.stack([record[column] for record in records])


def by_panel(records: Shown, column: str) -> dict[str, dict[str, np.ndarray]]:
    """Panel to label to `(seeds, times, ...)`.

    Args:
        records: label to records, as a figure's `draw` is given them.
        column: one that they all have.
    """
    panels: dict[str, dict[str, np.ndarray]] = {}
    for name, runs in records.items():
        panel, label = name.split(" | ")
        panels.setdefault(panel, {})[label] = stacked(runs, column)
    return panels


def steps_of(records: Shown, column: str) -> np.ndarray:
    """The iterates at which a column was measured, the same in every arm.

    Args:
        records: label to records.
        column: one that they all have.
    """
    return next(iter(records.values()))[0].steps(column)


def draw_curves(records: Shown, note: str, *, column: str, **looks: Any):
    """A column along training: a panel for each panel of the labels, or all curves in one.

    Args:
        records: label to records.
        note: states scale, backend and seeds.
        column: one number a time.
        **looks: those of `plots.curve_panels` or `plots.curves`.
    """
    from wdattn import plots  # loads matplotlib

    steps = steps_of(records, column)
    if any(map(Figure.panel, records)):
        return plots.curve_panels(steps, by_panel(records, column), note=note, **looks)
    curves = {label: stacked(runs, column) for label, runs in records.items()}
    return plots.curves(steps, curves, note=note, **looks)


def curve_figure(
    name: str,
    title: str,
    experiment: Experiment,
    arms: Mapping[str, Arm],
    column: str,
    *,
    heading: str,
    claim: str = "",
    caption: str = "",
    also: tuple[str, ...] = (),
    scales: tuple[str, ...] = (),
    arms_at: Mapping[str, Mapping[str, Arm]] | None = None,
    **looks: Any,
) -> Figure:
    """The figure of one column along training.

    Args:
        name: as for `Figure`, like all that follow.
        title: as said.
        experiment: as said.
        arms: as said; `in_panels` makes those of several panels.
        column: with one number a time.
        heading: over the picture.
        claim: as said.
        caption: as said.
        also: as said.
        scales: as said.
        arms_at: as said.
        **looks: those of `plots.curve_panels` or `plots.curves`.
    """
    draw = partial(draw_curves, column=column, title=heading, **looks)
    return Figure(
        name,
        title,
        experiment,
        arms,
        (column,),
        draw,
        claim,
        caption,
        also=also,
        scales=scales,
        arms_at=arms_at or {},
    )
