"""Loss on a fixed batch against the iteration: settings, covariates, depth, attention, tasks."""

from functools import partial

from wdattn import plots
from wdattn.papers.ahn2024.experiments import (
    ADAM,
    BASE,
    DEPTH,
    LARGE,
    LINEAR_ATTENTION,
    NETWORK,
    SOFTMAX,
    SOFTMAX_ATTENTION,
)
from wdattn.papers.ahn2024.figures.panels import (
    ALL_DEPTHS,
    COVARIATES,
    DEPTHS,
    OPTIMIZERS,
    SETTINGS,
    both,
    in_one,
    side_by_side,
    stacked,
    steps_of,
)
from wdattn.plots.words import significant
from wdattn.reproduction.design.paper import Figure

LOSS = ("evaluation_loss",)
FIXED = "Loss on a fixed batch"
PANELS = partial(side_by_side, column="evaluation_loss", ylabel=FIXED)
ONE = partial(in_one, column="evaluation_loss", ylabel=FIXED)


def gap(records, note):
    """Settings 1 to 3, with our means where the authors' plot of Setting 1 can be read off."""
    steps = list(steps_of(records, "evaluation_loss"))
    read = [step for step in (1250, 10_000) if step in steps] or steps[-1:]
    ours = [
        f"{label} {significant(stacked(runs, 'evaluation_loss')[:, steps.index(step)].mean(), 2)} "
        f"at {step}"
        for name, runs in records.items()
        for panel, label in [name.split(" | ")]
        if panel == "Setting 1"
        for step in read
    ]
    title = "Adam against SGD with momentum"
    return PANELS(records, f"{note} Means in Setting 1: {', '.join(ours)}.", title=title)


def overlay(records, note):
    """The same curves on every backend, and how far they part."""
    first = next(iter(records.values()))
    return plots.backend_overlay(
        steps_of(first, "evaluation_loss"),
        {
            label: {name: stacked(on[label], "evaluation_loss") for name, on in records.items()}
            for label in first
        },
        ylabel=FIXED,
        title="One seed, one curve: the same runs on each backend",
        note=note,
    )


DEPTH_TITLE = "Depth: more layers, more of a gap?"
DEPTH_CAPTION = (
    "The paper: both losses fall with depth, and the gap between them grows. Rates are the best of "
    "a grid, chosen for each depth and optimizer on seeds that are not shown."
)

FIGURES = (
    Figure(
        "gap",
        "Gap figure, Settings 1 to 3",
        BASE,
        both(SETTINGS),
        LOSS,
        gap,
        "C1",
        "Mean over seeds on a log scale, as the paper draws it; the verdicts use the median of the "
        "last 100 batch losses, since one prompt with large covariates can blow up a mean. The "
        "authors' own plot of Setting 1 shows SGDM at about 0.025 at iteration 1250 and 0.008 at "
        "10 000, Adam at about 0.0017 from 1000 on.",
        also=("C2", "C3"),
    ),
    Figure(
        "backends",
        "The same seed on each backend",
        BASE,
        OPTIMIZERS,
        LOSS,
        overlay,
        "C1",
        "Starts and batches are equal to the bit; what grows is round-off.",
        across=True,
    ),
    Figure(
        "covariates-loss",
        "Covariates: loss",
        BASE,
        both(COVARIATES),
        LOSS,
        partial(PANELS, title="Loss with spherical and heavy-tailed covariates"),
        "C12",
        "The paper: both optimizers end much lower with spherical covariates, but the gap between "
        "them does not vanish. The mean square of the labels is 1 in both panels.",
        also=("C13",),
    ),
    Figure(
        "depth-loss",
        "Depth: loss",
        DEPTH,
        both(DEPTHS),
        LOSS,
        partial(PANELS, title=DEPTH_TITLE, share=True),
        "C14",
        DEPTH_CAPTION,
        also=("C15",),
        scales=("smoke", "laptop"),
    ),
    Figure(
        "depth-loss-paper",
        "Depth: loss",
        DEPTH,
        both(ALL_DEPTHS),
        LOSS,
        partial(PANELS, title=DEPTH_TITLE, share=True),
        "C14",
        DEPTH_CAPTION,
        also=("C15",),
        scales=("paper",),
    ),
    Figure(
        "softmax",
        "Softmax figure",
        SOFTMAX,
        {"linear": ADAM | LINEAR_ATTENTION, "softmax": ADAM | SOFTMAX_ATTENTION},
        LOSS,
        partial(ONE, title="Linear against softmax attention, Adam"),
        "C18",
        "Softmax in the form of the authors' notebook: over all n + 1 keys, the mask that removes "
        "the query after it, and the factor 1/n kept. With rows that sum to one, a layer can then "
        "move the prediction by at most a mean label over n: part of the gap is made by this form.",
    ),
    Figure(
        "network-loss",
        "Appendix B: loss",
        NETWORK,
        OPTIMIZERS,
        LOSS,
        partial(ONE, title="Regression on a network's features", band="sd/2", logs=True),
        "C19",
        "Mean of the logarithms with half a standard deviation, as the paper draws it. The "
        "authors' plot, batches of 2000: SGDM at about exp(−4.2) = 0.015 by 2000 and exp(−4.7) = "
        "0.009 at 10 000, Adam spiky between exp(−7) and exp(−8), about 0.0003 to 0.0009.",
    ),
    Figure(
        "large-loss",
        "Larger model figure: loss",
        LARGE,
        OPTIMIZERS,
        LOSS,
        partial(ONE, title="Larger model: L = 8, d = 20, n = 60"),
        caption="The paper: the same picture as with 3 layers in 5 dimensions.",
    ),
)
