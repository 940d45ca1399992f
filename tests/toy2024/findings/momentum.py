"""Momentum is faster than Adam at one rate, and as fast at the best rate of each."""

from math import log

import numpy as np

from wdattn import reproduction as engine
from wdattn.ledger.curve_figures import curve_figure

from ..settings import Toy

PLAIN, FANCY = {"kind": "plain"}, {"kind": "fancy"}


@engine.reads("loss")
def end_loss(run):
    return np.log(np.median(run["loss"]))


BASE = engine.Experiment(
    "momentum",
    Toy,
    {"learning_rate": 0.05, "steps": 60},
    {"loss": engine.last(10), "height": engine.every(20)},
    {"smoke": engine.Scale(2, {"steps": 12}, looks=3), "laptop": engine.Scale(3)},
    source="Toy et al. (2024), Figure 1",
    expects="the loss of momentum 100 times lower after 60 steps",
)
TUNED = {"learning_rate": engine.Best((0.01, 0.1, 0.3), by=end_loss)}

C1 = engine.Claim(
    "C1",
    BASE,
    "Momentum reaches a lower loss than Adam at one rate.",
    engine.Inside(engine.difference(end_loss, FANCY, minus=PLAIN), low=log(2)),
    control=engine.Control(PLAIN | {"stream": 1}, of=FANCY),
    threshold_source="ours: a factor of 2 would be seen",
)
C2 = engine.Claim(
    "C2",
    BASE,
    "At its best rate Adam's loss is about that of momentum.",
    engine.Inside(engine.difference(end_loss, FANCY | TUNED, minus=PLAIN), -log(4), log(4)),
    control=engine.Control({"learning_rate": 0.001}, of=FANCY),
    threshold_source="ours: a factor of 4 either way",
)
HEIGHT = engine.single(engine.final("height"), PLAIN, unit="norm")
C3 = engine.Claim(
    "C3",
    BASE,
    "With momentum the kernel's norm ends near that of the targets, 2.29.",
    engine.Every((HEIGHT,), 2.1, 2.5, reaches=2.2),
    control=engine.Control({"learning_rate": 0.0001}),
    threshold_source="ours: a tenth either way",
)

CLAIMS = (C1, C2, C3)
FIGURES = (
    curve_figure("height", "Figure 1", BASE, {"momentum": PLAIN, "Adam": FANCY}, "height",
                 heading="Norm of the kernel", ylabel="Norm", claim="C1", also=("C2", "C3"),
                 caption="Momentum is there first."),
)  # fmt: skip
