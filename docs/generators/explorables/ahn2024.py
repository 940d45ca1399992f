"""The explorable of Ahn et al. (2024): loss, gradient noise and conditioning by what was chosen."""

from collections import defaultdict

import numpy as np

from docs.generators.facts import BACKENDS
from wdattn.papers.ahn2024.arms import ADAM, SGDM
from wdattn.papers.ahn2024.experiments import BASE, LAPTOP
from wdattn.papers.ahn2024.settings import RATES as AUTHORS
from wdattn.papers.ahn2024.settings import Noise, Regression
from wdattn.plots.words import significant
from wdattn.reproduction import Experiment, Scale

DATA = {
    "normal": ("N(0, I), 20 examples", {"covariates": "normal", "context": 20}),
    "fewer": ("N(0, I), 5 examples", {"covariates": "normal", "context": 5}),
    "gamma": ("heavy-tailed, 20 examples", {"covariates": "gamma", "context": 20}),
    "sphere": ("on a sphere, 20 examples", {"covariates": "sphere", "context": 20}),
    "network": ("N(0, I), behind a ReLU network", {"covariates": "network", "context": 20}),
}
OPTIMIZERS = {"adam": "Adam", "sgdm": "SGD with momentum"}
CONTROLS = ("data", "layers", "optimizer", "rate", "backend")
START = ("normal", "3", "adam", "0.02", "jax")
TAIL = np.logspace(0, -3, 25)[1:]  # shares of batches: a run has 3000
# The claims judge the authors' rates alone; these are the rates about them, on fewer seeds.
SWEEP = Experiment(
    "rates",
    Regression,
    {},
    {name: BASE.watch[name] for name in ("loss", "skipped", "evaluation_loss", "condition")},
    scales={"laptop": Scale(3, LAPTOP)},
    source="Ahn et al. (2024), Section 3: learning rates were searched",
    expects="a best rate for each optimizer and law of covariates",
    notes={"laptop": "five rates"},
    cost={"laptop": 1.0},
)
RATES = (0.005, 0.01, 0.02, 0.05, 0.1)
SPHERE_RATES = {"adam": (0.02, 0.05, 0.1, 0.2, 0.5), "sgdm": (0.5, 1.0, 2.0, 5.0, 10.0)}
RUNS = [
    (SWEEP, {**DATA[data][1], **optimizer, "learning_rate": learning_rate})
    for data in ("normal", "gamma", "sphere")
    for optimizer in (ADAM, SGDM)
    for learning_rate in (SPHERE_RATES[optimizer["optimizer"]] if data == "sphere" else RATES)
]
VIEWS = [
    {
        "name": "loss",
        "title": "Loss",
        "x": {"label": "step", "scale": "linear"},
        "y": {"label": "loss on a fixed batch", "scale": "log"},
        "mark": None,
        "note": "Median over seeds; the band is from the lowest to the highest seed.",
    },
    {
        "name": "rates",
        "title": "Loss at the end, by learning rate",
        "x": {"label": "learning rate", "scale": "log"},
        "y": {"label": "median loss of the last 100 steps", "scale": "log"},
        "mark": "rate",
        "note": "Median over seeds; the band is from the lowest to the highest. A rate at which "
        "a seed diverged has no point.",
    },
    {
        "name": "noise",
        "title": "Tail of the gradient noise",
        "x": {"label": "distance from the true gradient, over its median", "scale": "log"},
        "y": {"label": "share of batches farther away", "scale": "log"},
        "mark": None,
        "note": "At the start of training, so neither optimizer nor rate matters. Dashed: Gaussian "
        "noise with the same covariance. Median over seeds.",
    },
    {
        "name": "condition",
        "title": "Robust condition number",
        "x": {"label": "step", "scale": "linear"},
        "y": {"label": "largest over median |Hᵢᵢ|", "scale": "log"},
        "mark": None,
        "note": "Measured at two steps. Median over seeds; the band is from lowest to highest.",
    },
]


def describe(records):
    """The explorable's data from stored records.

    Args:
        records: `Records` of ahn2024, of any backends.

    Returns:
        dict in the form of `frame`.
    """
    trained, probed = _trained(records), _probed(records)
    # The first that fits is shown where a choice does not exist: better the authors' rates.
    runs = sorted(trained, key=lambda run: (run != START, not _is_authors(run),
                                            *map(_order, CONTROLS, run)))  # fmt: skip
    series = [one for run in runs for one in _along(dict(zip(CONTROLS, run, strict=True)),
                                                    trained[run])]  # fmt: skip
    return {
        "title": "Choose a run",
        "text": "Every curve was measured in stored runs of the linear transformer; only runs that "
        "were made can be chosen. The other optimizer is drawn pale.",
        "controls": [
            {"name": name, "label": label, "options": _options(name, runs)}
            for name, label in zip(
                CONTROLS,
                ("Data", "Layers", "Optimizer", "Learning rate", "Backend"),
                strict=True,
            )
        ],
        "beside": "optimizer",
        "runs": [list(run) for run in runs],
        "views": VIEWS,
        "series": [*series, *_by_rate(trained), *_tails(probed)],
    }


def _place(record):
    """Data, layers and backend of a record, or None where it belongs to no choice."""
    settings = record.settings
    if settings.stream or settings.activation or settings.layers < 2:
        return None  # a control, softmax, or the one-layer arm of a control
    for name, (_, task) in DATA.items():
        if all(getattr(settings, key) == value for key, value in task.items()):
            return name, str(settings.layers), record.manifest["backend"]
    return None


def _trained(records):
    """Choice to its runs: those of the laptop scale; judged seeds alone where there are any."""
    runs = defaultdict(list)
    for record in records:
        place, settings = _place(record), record.settings
        if place and type(settings) is Regression and settings.steps > 1000:
            data, layers, backend = place
            runs[data, layers, settings.optimizer, f"{settings.learning_rate:g}", backend].append(
                record
            )
    return {run: [r for r in made if r.settings.seed < 10_000] or made
            for run, made in runs.items()}  # fmt: skip


def _probed(records):
    probes = defaultdict(list)
    for record in records:
        place = _place(record)
        if place and type(record.settings) is Noise and not record.settings.gaussian:
            probes[place].append(record)
    return probes


def _is_authors(run):
    data, layers, optimizer, rate, _ = run
    task = DATA[data][1]
    return layers == "3" and AUTHORS[task["covariates"], task["context"], optimizer] == float(rate)


def _order(name, value):
    known = {"data": DATA, "optimizer": OPTIMIZERS, "backend": BACKENDS}.get(name)
    return list(known).index(value) if known else float(value)


def _options(name, runs):
    labels = {
        "data": {key: label for key, (label, _) in DATA.items()},
        "optimizer": OPTIMIZERS,
        "backend": BACKENDS,
    }.get(name, {})
    values = sorted({run[CONTROLS.index(name)] for run in runs}, key=lambda v: _order(name, v))
    return [{"value": value, "label": labels.get(value, value)} for value in values]


def _curve(view, at, x, rows, text, label="", reference=False, band=True):
    """A series from `(seeds, points)`: the median, and from the lowest to the highest."""
    rows = np.asarray(rows, "float64")
    return {
        "view": view,
        "at": at,
        "label": label,
        "reference": reference,
        "x": np.asarray(x, "float64").tolist(),
        "y": np.median(rows, 0).tolist(),
        "low": rows.min(0).tolist() if band else None,
        "high": rows.max(0).tolist() if band else None,
        "text": text,
    }


def _having(runs, *columns):
    return [run for run in runs if all(column in run.columns for column in columns)]


def _along(at, runs):
    """What was measured along the path of one choice."""
    told = OPTIMIZERS[at["optimizer"]]
    if losses := _having(runs, "evaluation_loss"):
        rows = [run["evaluation_loss"] for run in losses]
        steps, middle = losses[0].steps("evaluation_loss"), np.median(rows, 0)
        text = (
            f"The loss goes from {significant(middle[0])} to {significant(middle[-1])} in "
            f"{steps[-1]} steps ({_sample(losses)})."
        )
        yield _curve("loss", at, steps, rows, text, told)
    if conditions := _having(runs, "condition"):
        # Both evaluation batches, by their geometric mean, as the claims do.
        rows = [np.exp(np.log(run["condition"]).mean(-1)) for run in conditions]
        steps = conditions[0].steps("condition")
        found = zip(np.median(rows, 0), steps, strict=True)
        text = " and ".join(f"{significant(value)} at step {step}" for value, step in found)
        yield _curve("condition", at, steps, rows, f"The condition number is {text} "
                     f"({_sample(conditions)}).", told)  # fmt: skip


def _by_rate(trained):
    """The loss at the end of each rate, for data, layers, optimizer and backend."""
    ends = defaultdict(dict)
    for run, made in trained.items():
        at = dict(zip(CONTROLS, run, strict=True))
        rate = float(at.pop("rate"))
        if losses := _having(made, "loss"):
            ends[tuple(at.items())][rate] = [
                np.median(np.where(np.isfinite(r["loss"]), r["loss"], np.inf)) for r in losses
            ]
    for at, found in ends.items():
        at, rates = dict(at), sorted(rate for rate in found if np.isfinite(found[rate]).all())
        lost = [f"{rate:g}" for rate in sorted(found.keys() - rates)]
        # Chosen rates were run on more seeds than the others: the band needs the ends alone.
        rows = np.transpose([np.quantile(found[rate], (0, 0.5, 1)) for rate in rates])
        best = min(rates, key=lambda rate: np.median(found[rate]))
        text = f"Of {len(found)} rates {best:g} ends lowest" if len(found) > 1 else ""
        text += f"; a seed diverged at {', '.join(lost)}" if lost else ""
        yield _curve("rates", at, rates, rows, text and f"{text}.", OPTIMIZERS[at["optimizer"]])


def _tails(probed):
    """How far the norm of the noise reaches, beside a Gaussian's with its covariance."""
    for (data, layers, backend), probes in probed.items():
        at = {"data": data, "layers": layers, "backend": backend}
        norms = np.stack([probe["noise"][0] for probe in probes])  # (seeds, 2, batches)
        tails = np.quantile(norms, 1 - TAIL, axis=-1) / np.median(norms, -1)
        noise, gaussian = np.moveaxis(tails, 0, -1).swapaxes(0, 1)
        ends = [significant(np.median(rows[:, -1])) for rows in (noise, gaussian)]
        text = (
            f"The gradient of one batch in a thousand lies {ends[0]} times as far from the true "
            f"one as that of the median batch; with Gaussian noise it would be {ends[1]}."
        )
        for rows, label, reference in (
            (noise, "measured", False),
            (gaussian, "Gaussian", True),
        ):
            told = "" if reference else text
            # The share stands on the y axis: the band would lie along x.
            curve = _curve("noise", at, TAIL, rows, told, label, reference, band=False)
            yield curve | {"x": curve["y"], "y": curve["x"]}


def _sample(runs):
    return f"median of {len(runs)} seeds, batches of {runs[0].settings.batch}"
