"""Linear attention reaches a lower loss than softmax attention."""

from math import log

from wdattn.ledger.curve_figures import curve_figure
from wdattn.papers.ahn2024.arms import ADAM, OURS
from wdattn.papers.ahn2024.experiments import BASE, OWN_GRID, SEARCHED, SMOKE, end_loss
from wdattn.reproduction.design.claim import Claim, Control, Inside
from wdattn.reproduction.design.effect import difference
from wdattn.reproduction.design.experiment import Scale
from wdattn.reproduction.design.references import Best

LINEAR, SOFTMAX = {"activation": None}, {"activation": "softmax"}
FORM = "the authors' notebook form of softmax attention, which keeps 1/n"

SOFTMAX_RUNS = BASE.vary(
    "softmax",
    {},
    smoke=Scale(2, SMOKE | {"learning_rate": 0.05}, looks=5),
    laptop=Scale(
        3, {"batch": 256, "steps": 800, "learning_rate": Best((0.02, 0.05, 0.1), end_loss)}
    ),
    paper=Scale(6, SEARCHED),
    source="Ahn et al. (2024), softmax figure, Setting 1",
    expects="linear attention's loss falls much faster",
    notes={
        "laptop": f"Adam (optimizer and rate of the paper's figure are not stated); {FORM}",
        "paper": f"Adam (the figure's optimizer is not stated); {OWN_GRID}; {FORM}",
    },
    cost={"smoke": 1.0, "laptop": 2.0, "paper": 150.0},
)

C18 = Claim(
    "C18",
    SOFTMAX_RUNS,
    "Linear attention trains to a much lower loss than softmax attention.",
    Inside(difference(end_loss, SOFTMAX | ADAM, minus=LINEAR | ADAM), low=log(2)),
    control=Control(LINEAR | {"stream": 1}, of=SOFTMAX),
    source="Ahn et al. (2024), softmax figure",
    expects="a picture: linear attention's log loss falls much faster",
    threshold_source=OURS,
    remark="Overstated by construction: rows of softmax scores sum to one, and with the 1/n that "
    "the authors' notebook keeps, a layer can move the query's label by at most about a mean "
    "label over n.",
)

CLAIMS = (C18,)
FIGURES = (
    curve_figure(
        "softmax",
        "Softmax figure",
        SOFTMAX_RUNS,
        {"linear": ADAM | LINEAR, "softmax": ADAM | SOFTMAX},
        "evaluation_loss",
        heading="Linear against softmax attention, Adam",
        ylabel="Loss on a fixed batch",
        claim="C18",
        caption="Softmax in the form of the authors' notebook: over all n + 1 keys, the mask that "
        "removes the query after it, and the factor 1/n kept. With rows that sum to one, a layer "
        "can then move the prediction by at most a mean label over n: part of the gap is made by "
        "this form.",
    ),
)
