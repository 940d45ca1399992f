"""Lays the folder of a new paper, which runs as it is."""

import re
import string
from pathlib import Path

from wdattn.papers.lookup import keys

FILES = {
    "__init__.py": '''
"""$key: what it found, in a sentence."""

from wdattn.reproduction import Paper

PAPER = Paper.of_findings(
    __name__,
    key="$key",
    title="The paper's title",
    citation="A. Author, B. Author, venue, year, identifier",
    headline=("C1",),
)
''',
    "settings.py": '''
"""What identifies a run of $key: the paper's own values are the defaults."""

from dataclasses import dataclass

from wdattn.arguments import is_integer
from wdattn.reproduction import Settings


@dataclass(frozen=True, kw_only=True)
class Regression(Settings):
    """Linear regression on fresh batches.

    Args:
        batch: examples a step.
        momentum: whether SGD has momentum 0.9.
    """

    steps: int = 200
    learning_rate: float | None = 0.01
    batch: int = 64
    momentum: bool = True

    def __post_init__(self):
        super().__post_init__()
        self.require("batch", "an int >= 1", lambda n: is_integer(n) and n >= 1)
''',
    "system.py": '''
"""How a run of $key is made: model, loss, update, start and batches."""

import keras
import numpy as np

from wdattn.optimizers import Knob, Update, update_rules
from wdattn.replicas import weights_by_path
from wdattn.reproduction import System


def build(settings):
    """The system of every run that can be stacked with this one."""
    rule = update_rules.SGD(momentum=0.9 if settings.momentum else 0.0)
    return System(
        model=_model(seed=0),
        loss=squared_error,
        update=Update(rule, Knob("learning_rate"), Knob("weight_decay")),
        start=start,
        batch=batch,
    )


def squared_error(y_true, y_pred):
    """Mean squared error over a batch."""
    return keras.ops.mean(keras.ops.square(y_pred - y_true))


def start(settings):
    """The weights of iterate 0, by path; by the seed alone."""
    return weights_by_path(_model(settings.seed))


def batch(settings, step):
    """The batch of a step: a pure function of seed, stream and step."""
    rng = np.random.default_rng([settings.seed, settings.stream, step])
    x = rng.normal(size=(settings.batch, 3)).astype("float32")
    return x, x @ np.float32([[1.0], [-2.0], [0.5]])


def _model(seed):
    kernel = keras.initializers.RandomNormal(seed=seed)
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer=kernel, name="out")(inputs))
''',
    "measures.py": '''
"""What is measured in the runs of $key: column to a function of one iterate, a line each."""

import numpy as np


def norm(snapshot):
    """Euclidean norm of all weights."""
    return np.sqrt(sum(np.sum(np.square(weight)) for weight in snapshot.weights.values()))


MEASURES = {"norm": norm}
''',
    "findings/__init__.py": '''
"""What $key found: a module a finding, with its experiment, claims and figures."""
''',
    "findings/momentum.py": '''
"""Momentum reaches a lower loss."""

from math import log

import numpy as np

from wdattn import reproduction as engine
from wdattn.ledger.curve_figures import curve_figure

from ..settings import Regression

PLAIN, MOMENTUM = {"momentum": False}, {"momentum": True}


@engine.reads("loss")
def end_loss(run):
    """Log of the median batch loss at the end."""
    return np.log(np.median(run["loss"]))


MOMENTUM_RUNS = engine.Experiment(
    "momentum",
    Regression,
    {},
    {"loss": engine.last(20), "norm": engine.every(20)},
    {
        "smoke": engine.Scale(2, {"steps": 20}, looks=3),
        "laptop": engine.Scale(5),
        "paper": engine.Scale(5),
    },
    source="Figure 1",
    expects="the paper's number or picture, in words",
)

C1 = engine.Claim(
    "C1",
    MOMENTUM_RUNS,
    "Momentum reaches a lower loss.",
    engine.Inside(engine.difference(end_loss, PLAIN, minus=MOMENTUM), low=log(2)),
    control=engine.Control(PLAIN | {"stream": 1}, of=MOMENTUM),
    threshold_source="where the smallest effect that counts comes from: the paper if it can",
)

CLAIMS = (C1,)
FIGURES = (
    curve_figure(
        "norm",
        "Figure 1",
        MOMENTUM_RUNS,
        {"plain": PLAIN, "momentum": MOMENTUM},
        "norm",
        heading="Norm of the weights",
        ylabel="Norm",
        claim="C1",
        caption="What to look at.",
    ),
)
''',
}
"""File of the folder to its text, with `$key` for the key."""

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "$key"
version = "0.1.0"
dependencies = ["wdattn"]

[project.entry-points."wdattn.papers"]
$key = "$key"

[tool.setuptools]
packages = ["$key", "$key.findings"]
"""


def new_paper(key: str, folder=None) -> Path:
    """Lays the folder of a new paper: one claim on a small regression, to be replaced.

    In a checkout of wdattn it goes to `wdattn/papers/<key>`, where it is found at once. Elsewhere,
    and in any `folder` that is given, it is a package of its own beside a `pyproject.toml`:
    `pip install --editable` makes wdattn find it.

    Args:
        key: first author's name and year, like "ahn2024".
        folder: where the package goes; None as said.

    Returns:
        The folder of the paper.

    Raises:
        ValueError: if `key` is not of that form or taken, or the folder is there already.
    """
    if not re.fullmatch(r"[a-z]+[0-9]{4}[a-z]?", key):
        raise ValueError(f"`key` must be a name and a year, like 'ahn2024', got {key!r}")
    if key in keys():
        raise ValueError(f"`key` must be a new one, {key!r} is taken")
    papers = Path(__file__).parent
    checkout = (papers.parents[1] / "pyproject.toml").exists()
    alone = folder is not None or not checkout
    parent = Path(folder or ".") if alone else papers
    if (parent / key).exists():
        raise ValueError(f"`folder` must not hold {key!r} yet, but {parent / key} is there")
    for name, text in FILES.items():
        _write(parent / key / name, text, key)
    if alone and not (parent / "pyproject.toml").exists():
        _write(parent / "pyproject.toml", PROJECT, key)
    return parent / key


def _write(path: Path, text: str, key: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(string.Template(text.lstrip()).substitute(key=key), "utf-8")
