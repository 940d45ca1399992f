"""Adam reaches a lower loss than SGD with momentum, in three settings."""

from math import log

from wdattn.ledger.curve_figures import draw_curves, in_panels, stacked, steps_of
from wdattn.papers.ahn2024.arms import (
    ADAM,
    FEWER,
    GAMMA,
    ONE_LAYER,
    OPTIMIZERS,
    OURS,
    SETTINGS,
    SGDM,
    SGDM_TWICE,
)
from wdattn.papers.ahn2024.experiments import BASE, end_loss
from wdattn.reproduction.design.claim import Claim, Inside
from wdattn.reproduction.design.effect import difference
from wdattn.reproduction.design.paper import Figure

GAP_PICTURE = (
    'a picture: Adam below SGD with momentum, "to different extents" in the three settings'
)

C1 = Claim(
    "C1",
    BASE,
    "Adam reaches a much lower loss than SGD with momentum.",
    Inside(difference(end_loss, SGDM, minus=ADAM), low=log(2)),
    control=ONE_LAYER,
    source="Ahn et al. (2024), gap figure, Setting 1",
    expects="Adam about 15 times lower at iteration 1250 and about 5 times lower at 10 000 (read "
    "off the authors' notebook plot)",
    threshold_source="a factor of 2 against the authors' 5 to 15; " + OURS,
)
C2 = Claim(
    "C2",
    BASE,
    "With fewer context tokens (n = 5) Adam still reaches a lower loss than SGD with momentum.",
    Inside(difference(end_loss, FEWER | SGDM, minus=FEWER | ADAM), low=log(1.05)),
    control=SGDM_TWICE,
    source="Ahn et al. (2024), gap figure, Setting 2",
    expects=GAP_PICTURE,
    threshold_source=OURS,
    remark="The effect is small at this scale, and early in training Adam is behind: it is "
    "measured at the end only. Medians over steps are compared, since a single prompt with large "
    "covariates can make a batch's mean loss explode.",
)
C3 = Claim(
    "C3",
    BASE,
    "With heavy-tailed covariates Adam reaches a lower loss than SGD with momentum.",
    Inside(difference(end_loss, GAMMA | SGDM, minus=GAMMA | ADAM), low=log(1.2)),
    control=SGDM_TWICE,
    source="Ahn et al. (2024), gap figure, Setting 3",
    expects=GAP_PICTURE,
    threshold_source=OURS,
    remark="In the mean over prompts, which outliers rule, Adam can look far worse than SGD at "
    "the same iterates; the claim compares medians over steps.",
)


def gap(records, note):
    """Settings 1 to 3, with our means where the authors' plot of Setting 1 can be read off."""
    from wdattn.plots.words import significant

    steps = list(steps_of(records, "evaluation_loss"))
    read = [step for step in (1250, 10_000) if step in steps] or steps[-1:]
    means = []
    for label in OPTIMIZERS:
        losses = stacked(records[f"Setting 1 | {label}"], "evaluation_loss").mean(axis=0)
        means += [f"{label} {significant(losses[steps.index(s)], 2)} at {s}" for s in read]
    note = f"{note} Means in Setting 1: {', '.join(means)}."
    looks = {"ylabel": "Loss on a fixed batch", "title": "Adam against SGD with momentum"}
    return draw_curves(records, note, column="evaluation_loss", **looks)


def overlay(records, note):
    """The same curves on every backend, and how far they part."""
    from wdattn import plots

    first = next(iter(records.values()))
    return plots.backend_overlay(
        steps_of(first, "evaluation_loss"),
        {
            label: {name: stacked(on[label], "evaluation_loss") for name, on in records.items()}
            for label in first
        },
        ylabel="Loss on a fixed batch",
        title="One seed, one curve: the same runs on each backend",
        note=note,
    )


CLAIMS = (C1, C2, C3)
FIGURES = (
    Figure(
        "gap",
        "Gap figure, Settings 1 to 3",
        BASE,
        in_panels(SETTINGS, OPTIMIZERS),
        ("evaluation_loss",),
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
        ("evaluation_loss",),
        overlay,
        "C1",
        "Starts and batches are equal to the bit; what grows is round-off.",
        across=True,
    ),
)
