"""Histograms of gradient-noise norms beside a matched Gaussian, which four findings draw."""

from functools import partial

from wdattn.ledger.curve_figures import by_panel, in_panels
from wdattn.reproduction.design.paper import Figure

OUTLINE = "The outline is a Gaussian vector with the same covariance: a norm is skewed even then."


def histograms(name, title, experiment, arms, *, heading, claim="", caption="", arms_at=None):
    """The figure of the noise of each arm, label to arm; `arms_at` as in `Figure`."""
    return Figure(
        name,
        title,
        experiment,
        in_panels(arms, {"noise": {}}),
        ("noise",),
        partial(draw, title=heading),
        claim,
        caption,
        arms_at={scale: in_panels(own, {"noise": {}}) for scale, own in (arms_at or {}).items()},
    )


def draw(records, note, *, title):
    """A column an arm: the bulk above, the whole tail as log counts below."""
    from wdattn import plots

    norms = {panel: own["noise"][:, 0] for panel, own in by_panel(records, "noise").items()}
    return plots.histogram(
        {label: own[:, 0] for label, own in norms.items()},
        matched={label: own[:, 1] for label, own in norms.items()},
        title=title,
        note=note,
    )
