"""What the engine refuses: the message names the argument, the value and what is allowed."""

from math import inf, nan

import pytest

from wdattn.papers.ahn2024.arms import ADAM, SGDM
from wdattn.papers.ahn2024.experiments import BASE
from wdattn.papers.ahn2024.settings import Noise, Regression
from wdattn.reproduction import (
    AllOf,
    Best,
    Claim,
    Control,
    Effect,
    Experiment,
    Inside,
    Scale,
    at,
    difference,
    every,
    last,
    reads,
    t_interval,
)


@reads("loss")
def loss(run):
    return run["loss"][-1]


def silent(run):
    return 0.0


GAP = difference(loss, SGDM, minus=ADAM)

BAD = {
    "at()": (lambda: at(), "`steps` must be one or more ints >= 0, got"),
    "at(-1)": (lambda: at(3, -1), r"`steps` must be .* got \(3, -1\)"),
    "every(0)": (lambda: every(0), "`interval` must be an int >= 1, got 0"),
    "last(0)": (lambda: last(0), "`count` must be an int >= 1, got 0"),
    "no seeds": (lambda: Scale(0), "`seeds` must be an int >= 1, got 0"),
    "seeds twice": (lambda: Scale((1, 1)), r"`seeds` must be .* got \(1, 1\)"),
    "negative seed": (lambda: Regression(seed=-1), "`seed` must be an int >= 0, got -1"),
    "half a step": (lambda: Regression(steps=0.5), "`steps` must be an int >= 0, got 0.5"),
    "infinite rate": (
        lambda: Regression(learning_rate=inf),
        "`learning_rate` must be finite and >= 0, got inf",
    ),
    "decay is no number": (
        lambda: Regression(weight_decay=nan),
        "`weight_decay` must be finite.* got nan",
    ),
    "clipnorm 0": (lambda: Regression(clipnorm=0.0), r"`clipnorm` must be > 0, got 0\.0"),
    "law": (
        lambda: Regression(covariates="cubic"),
        "`covariates` must be one of normal, gamma, sphere",
    ),
    "optimizer": (lambda: Regression(optimizer="lion"), "`optimizer` must be one of adam, sgdm"),
    "no layer": (lambda: Regression(layers=0), "`layers` must be an int >= 1, got 0"),
    "no prompt": (lambda: Regression(batch=0), "`batch` must be an int >= 1, got 0"),
    "one batch of noise": (lambda: Noise(noise_batches=1), "`noise_batches` must be .* got 1"),
    "no reference": (lambda: Noise(reference_factor=0), "`reference_factor` must be .* got 0"),
    "no published rate": (
        lambda: Regression(context=7).filled(),
        "`learning_rate` must be given for",
    ),
    "unknown setting": (
        lambda: Experiment("e", Regression, {"depth": 3}, {}, {}),
        "experiment 'e' has no setting depth; it has activation, batch",
    ),
    "grid of one": (lambda: Best((0.1,), by=loss), "`grid` must hold at least 2 values"),
    "unread": (lambda: Effect(silent, (ADAM,), float), "silent.* does not say what it @reads"),
    "no arm": (lambda: Effect(loss, (), float), "`arms` must name at least one arm"),
    "threshold 0": (lambda: Inside(GAP, low=0), "so not 0"),
    "no threshold": (lambda: Inside(GAP), "`low` < `high` with one of them finite"),
    "empty": (lambda: AllOf(()), "`conditions` must hold at least one condition"),
    "idle control": (
        lambda: Claim("C1", BASE, "?", Inside(GAP, low=1), Control(ADAM, of={"layers": 8})),
        "the control of C1 changes no",
    ),
    "one value": (lambda: t_interval([1.0]), "`values` must have at least 2 entries"),
    "level 1": (lambda: t_interval([1.0, 2.0], 1.0), r"`level` must be .* > 0 and < 1, got 1\.0"),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_in_words(name):
    make, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        make()
