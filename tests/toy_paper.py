"""Fixtures about the made-up paper `toy2024`: an experiment, made-up records, claims that train."""

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from tests.toy2024.findings.momentum import end_loss
from tests.toy2024.measures import MEASURES
from tests.toy2024.settings import Toy
from tests.toy2024.system import build
from wdattn.reproduction import (
    Best,
    Claim,
    Control,
    Experiment,
    Inside,
    Paper,
    Record,
    Scale,
    at,
    difference,
    every,
    last,
    reads,
    single,
)


@pytest.fixture
def toy():
    """The settings class, found by name when a record is read back."""
    assert sys.modules[Toy.__module__].Toy is Toy
    return Toy


@pytest.fixture
def experiment():
    return Experiment(
        "base",
        Toy,
        {"weight_decay": 0.5},
        watch={"loss": last(4), "height": at(5, 10), "width": every(10)},
        scales={
            "smoke": Scale(2, {"steps": 10, "depth": 1}, {"height": at(5)}),
            "laptop": Scale(5),
            "seeded": Scale((7, 9)),
        },
        source="Toy et al. (2024), Figure 1",
        expects="plain above fancy",
        notes={"smoke": "shallow"},
    )


@pytest.fixture
def finder():
    """Makes `find` from a function of settings and column to the cells: scalar or one a time."""

    def make(experiment, values, columns=("height",), scale="laptop", absent=()):
        def find(settings):
            if settings in absent:
                return None
            found = {}
            for name in columns:
                steps = np.array(experiment.at(scale).times(name, settings.steps))
                cells = np.broadcast_to(values(settings, name), steps.shape)
                found[name] = steps, cells.astype("float64")
            manifest = {
                "backend": "jax",
                "id": settings.run_id("toy", "jax"),
                "build": "toy",
                "versions": {"keras": "3.15.1", "python": "3.11.7"},
            }
            return Record(settings, found, manifest)

        return find

    return make


@dataclass(frozen=True)
class ToyPaper(Paper):
    """The made-up paper with a build that a test can change."""

    code: str = "toy-1"

    def build(self, settings):
        return self.code


@reads("height")
def end_height(run):
    return run["height"][-1]


@pytest.fixture
def system():
    return build


@pytest.fixture
def measures():
    return MEASURES


@pytest.fixture
def paper():
    """Claims on runs of 60 steps that train; `paper.claims` names what is asked."""
    plain, fancy = (
        {"kind": "plain", "learning_rate": 0.05},
        {"kind": "fancy", "learning_rate": 0.05},
    )
    tuned = {"kind": "fancy", "learning_rate": Best((0.01, 0.1, 1e38), by=end_loss, seeds=(90, 91))}
    diverged = {"kind": "plain", "learning_rate": 1e38}
    base = Experiment(
        "base",
        Toy,
        {"steps": 60},
        watch={"loss": last(10), "height": at(0, 30, 60), "stride": at(0, 59)},
        scales={"laptop": Scale(3), "smoke": Scale(2, {"steps": 12}, {"height": at(0, 12),
                                                                      "stride": at(0, 11)})},
    )  # fmt: skip
    control = Control({"kind": "fancy", "stream": 1})
    plainer = difference(end_loss, fancy, minus=plain)
    return ToyPaper(
        key="toy2024",
        title="Toys",
        citation="Toy et al.",
        claims=(
            Claim("C1", base, "Momentum is faster.", Inside(plainer, low=0.5), control=control),
            Claim(
                "C2", base, "It grows.", Inside(single(end_height, plain), low=1), control=control
            ),
            Claim(
                "C3",
                base,
                "Tuned it is as good.",
                Inside(difference(end_loss, tuned, minus=plain), low=-9, high=9),
                control=Control({"stream": 1}),
            ),
            Claim(
                "C4",
                base,
                "It diverges.",
                Inside(difference(end_loss, diverged, minus=plain), low=1),
                control=control,
            ),
        ),
        headline=("C1",),
        package="tests.toy2024",
    )
