"""What every public schedule and optimizer must pass: each argument is kept, saved and refused.

A row says how to make one with every argument away from its default. A public class without a row
fails.
"""

import inspect
import json

import keras
import pytest

from wdattn import optimizers, schedules

RULES = [["kernel", 1.0, 0.5], [".*", 0.0, 1.0]]
DECAY = {
    "weight_decay": 0.25,
    "coupling": "corrected",
    "decay_rules": RULES,
    "peak_learning_rate": 0.75,
    "effective_rate": True,
    "cautious": True,
}
INSTEAD = {"timescale"}  # says the decay in another way, so that it cannot be given beside it
KERAS = {"name": "chosen", "global_clipnorm": 2.0, "gradient_accumulation_steps": 3}

ROWS = {
    schedules.Constant: {"value": 0.5},
    schedules.Cosine: {"start": 0.5, "steps": 3, "floor": 0.25},
    schedules.Exponential: {"start": 0.5, "factor": 0.25, "steps": 3},
    schedules.InverseSquareRoot: {"start": 0.5, "steps": 3},
    schedules.InverseTo: {"rate": schedules.Constant(0.5), "product": 0.25},
    schedules.Linear: {"start": 0.5, "end": 0.25, "steps": 3},
    schedules.Piecewise: {
        "boundaries": (2, 4),
        "pieces": tuple(map(schedules.Constant, (0.5, 0.25, 0.125))),
    },
    schedules.ProportionalTo: {"rate": schedules.Constant(0.5), "factor": 0.25},
    schedules.Step: {"start": 0.5, "boundaries": (2, 4), "factor": 0.25},
    schedules.Warmup: {"steps": 3, "then": schedules.Constant(0.5), "start": 0.25},
    optimizers.AdamW: {
        "learning_rate": 0.5,
        "beta_1": 0.5,
        "beta_2": 0.75,
        "epsilon": 0.125,
        **DECAY,
    },
    optimizers.Muon: {
        "learning_rate": 0.5,
        "momentum": 0.5,
        "nesterov": False,
        "iterations": 3,
        "exclude": ["head"],
        "beta_1": 0.5,
        "beta_2": 0.75,
        "epsilon": 0.125,
        **DECAY,
    },
    optimizers.SGDW: {"learning_rate": 0.5, "momentum": 0.5, "nesterov": True, **DECAY},
}
RECORDS = {
    optimizers.Coupling,
    optimizers.DecayRow,
    optimizers.DecayRules,
    optimizers.DecayTable,
    optimizers.Knob,
    optimizers.Layout,
    optimizers.MuonRule,
    optimizers.Update,
}
BASES = {schedules.Schedule}
EVERY = [pytest.param(cls, id=cls.__name__) for cls in ROWS]


def base(cls):
    return KERAS if issubclass(cls, keras.optimizers.Optimizer) else {}


def make(cls):
    return cls(**ROWS[cls], **base(cls))


def test_every_public_class_has_a_row():
    public = {
        thing
        for room in (optimizers, schedules)
        for thing in (getattr(room, name) for name in room.__all__)
        if inspect.isclass(thing)
    }
    assert public - RECORDS - BASES == set(ROWS)


@pytest.mark.parametrize("cls", EVERY)
def test_the_row_sets_every_argument_and_no_default(cls):
    found = inspect.signature(cls.__init__).parameters.values()
    parameters = {p.name: p.default for p in found if p.name != "self" and p.kind != p.VAR_KEYWORD}
    assert set(ROWS[cls]) == set(parameters) - INSTEAD
    assert not [name for name, value in ROWS[cls].items() if value == parameters[name]]


@pytest.mark.parametrize("cls", EVERY)
def test_the_config_holds_every_argument(cls):
    config = make(cls).get_config()
    keras_own = set(keras.optimizers.Optimizer(0.1).get_config()) if base(cls) else set()
    assert set(config) - INSTEAD == set(ROWS[cls]) | keras_own
    for name, value in (ROWS[cls] | base(cls)).items():
        if not isinstance(config[name], dict) and name != "pieces":
            assert config[name] in (value, list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize("cls", EVERY)
def test_round_trip_through_json(cls):
    made = make(cls)
    text = json.dumps(keras.saving.serialize_keras_object(made))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(again) is cls and again.get_config() == made.get_config()


@pytest.mark.parametrize("cls", EVERY)
def test_registered_under_our_name(cls):
    assert keras.saving.get_registered_name(cls) == f"wdattn>{cls.__name__}"
