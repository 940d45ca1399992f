"""What every public layer, model and initializer must pass.

A row says how to make one with every argument away from its default, what it takes, and what it
must refuse. A public class without a row fails.
"""

import inspect
import json
from dataclasses import dataclass, field

import keras
import numpy as np
import pytest
from keras import ops

from wdattn import initializers, layers, models
from wdattn.data import in_context_regression

ROOMS = (initializers, layers, models)


@dataclass(frozen=True)
class Row:
    """Arguments, all of them not the default; what must raise; what `call` takes; other forms."""

    arguments: dict
    bad: list  # (argument, value)
    inputs: np.ndarray | None = None
    required: dict = field(default_factory=dict)  # what the arguments under `bad` need beside them
    forms: tuple = ({},)  # changes of the arguments that make `call` take another path


PROMPTS = in_context_regression(4, dim=3, context=6)[0]
BAD_STDDEV = [("stddev", value) for value in (-1.0, float("nan"), float("inf"), "0.1", None)]
BAD_SEED = [("seed", value) for value in (-1, 0.5, 2**32, True, "0")]
BAD_PARAMETRIZATION = [("parametrization", value) for value in ("Block", None, 1)]
BAD_ACTIVATION = [("activation", value) for value in ("Softmax", "linear", 1)]
FORMS = ({}, {"activation": None})

ROWS = {
    initializers.Normal: Row(
        {"stddev": 0.3, "seed": 4, "place": "here"},
        [*BAD_STDDEV, *BAD_SEED, ("place", None)],
    ),
    initializers.Uniform: Row(
        {"limit": 0.3, "seed": 4, "place": "here"},
        [*[("limit", value) for _, value in BAD_STDDEV], *BAD_SEED, ("place", None)],
    ),
    layers.LinearSelfAttention: Row(
        {"parametrization": "block", "stddev": 0.3, "seed": 4, "activation": "softmax"},
        [*BAD_STDDEV, *BAD_SEED, *BAD_PARAMETRIZATION, *BAD_ACTIVATION],
        PROMPTS,
        {"name": "attention"},
        FORMS,
    ),
    models.LinearTransformer: Row(
        {
            "depth": 2,
            "dim": 3,
            "parametrization": "full",
            "stddev": 0.1,
            "seed": 4,
            "activation": "softmax",
        },
        [
            *[(name, value) for name in ("depth", "dim") for value in (0, -1, 2.0, True, None)],
            *[*BAD_STDDEV, *BAD_SEED, *BAD_PARAMETRIZATION, *BAD_ACTIVATION],
        ],
        PROMPTS,
        forms=FORMS,
    ),
}
BASE = {"name": "chosen", "trainable": False, "dtype": "mixed_bfloat16"}  # keras.layers.Layer's

EVERY = [pytest.param(cls, id=cls.__name__) for cls in ROWS]
CALLED = [
    pytest.param(cls, form, id="-".join([cls.__name__, *map(str, form.values())]))
    for cls, row in ROWS.items()
    if row.inputs is not None
    for form in row.forms
]
BAD = [
    pytest.param(cls, name, value, id=f"{cls.__name__}-{name}-{value}")
    for cls, row in ROWS.items()
    for name, value in row.bad
]


def own_parameters(cls):
    found = inspect.signature(cls.__init__).parameters.values()
    return {p.name: p.default for p in found if p.name != "self" and p.kind is not p.VAR_KEYWORD}


def is_layer(cls):
    return issubclass(cls, keras.layers.Layer)


def make(cls, **kwargs):
    base = {"name": "chosen"} if is_layer(cls) else {}
    return cls(**ROWS[cls].arguments | base | kwargs)


def as_model(cls, **kwargs):
    """A model with non-trivial weights: the layer's in a functional one, or the model itself."""
    made, shape = make(cls, **kwargs), ROWS[cls].inputs.shape
    if isinstance(made, keras.Model):
        return made
    inputs = keras.Input(shape[1:])
    return keras.Model(inputs, made(inputs))


def public_classes():
    return {getattr(room, name) for room in ROOMS for name in room.__all__}


def test_every_public_class_has_a_row():
    assert public_classes() == set(ROWS)


def test_a_class_without_a_row_is_seen(monkeypatch):
    monkeypatch.setattr(layers, "Forgotten", type("Forgotten", (), {}), raising=False)
    monkeypatch.setattr(layers, "__all__", [*layers.__all__, "Forgotten"])
    assert public_classes() - set(ROWS)


@pytest.mark.parametrize("cls", EVERY)
def test_the_row_sets_every_argument_and_no_default(cls):
    row, parameters = ROWS[cls], own_parameters(cls)
    assert set(row.arguments) == set(parameters)
    assert not [name for name, default in parameters.items() if row.arguments[name] == default]
    assert {name for name, _ in row.bad} == set(parameters)


@pytest.mark.parametrize("cls", EVERY)
def test_config_holds_every_argument(cls):
    arguments = ROWS[cls].arguments
    base = BASE if is_layer(cls) else {}
    config = make(cls, **base).get_config()
    assert set(config) == set(arguments) | set(base)
    assert {name: config[name] for name in arguments} == arguments
    assert {name: type(config[name]) for name in arguments} == {
        name: type(value) for name, value in arguments.items()
    }


@pytest.mark.parametrize("cls", EVERY)
def test_config_round_trip_through_json(cls):
    made = make(cls, **(BASE if is_layer(cls) else {}))
    text = json.dumps(keras.saving.serialize_keras_object(made))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(again) is cls and again is not made
    assert again.get_config() == made.get_config()
    assert {name: getattr(again, name) for name in ROWS[cls].arguments} == ROWS[cls].arguments
    if is_layer(cls):
        assert again.name == "chosen" and again.trainable is False
        assert again.dtype_policy.name == "mixed_bfloat16"


@pytest.mark.parametrize("cls", EVERY)
def test_registered_under_our_name(cls):
    assert keras.saving.get_registered_name(cls) == f"wdattn>{cls.__name__}"


@pytest.mark.parametrize(("cls", "name", "value"), BAD)
def test_bad_argument(cls, name, value):
    with pytest.raises(ValueError) as error:
        cls(**{**ROWS[cls].required, name: value})
    assert f"`{name}` must be" in str(error.value) and repr(value) in str(error.value)


@pytest.mark.parametrize("cls", EVERY)
def test_unknown_argument(cls):
    with pytest.raises((TypeError, ValueError), match="speling"):
        cls(speling=1)


@pytest.mark.parametrize(("cls", "form"), CALLED)
def test_saved_and_loaded(cls, form, tmp_path, rng):
    model, x = as_model(cls, **form), ROWS[cls].inputs
    model.set_weights([rng.normal(scale=0.1, size=w.shape) for w in model.get_weights()])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert [v.path for v in loaded.weights] == [v.path for v in model.weights]
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert np.array_equal(one, other)
    before, after = (ops.convert_to_numpy(m(x)) for m in (model, loaded))
    assert np.array_equal(before, after)
    weights_only = as_model(cls, **form)
    model.save_weights(tmp_path / "model.weights.h5")
    weights_only.load_weights(tmp_path / "model.weights.h5")
    assert np.array_equal(before, ops.convert_to_numpy(weights_only(x)))


@pytest.mark.parametrize(("cls", "form"), CALLED)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_precision(cls, form, policy):
    x = ROWS[cls].inputs
    exact = ops.convert_to_numpy(as_model(cls, **form, dtype="float64")(x.astype("float64")))
    model = as_model(cls, **form, dtype=policy)
    compute = keras.dtype_policies.get(policy).compute_dtype
    found = model(x.astype("float64"))
    assert keras.backend.standardize_dtype(found.dtype) == compute
    variable = "float64" if policy == "float64" else "float32"
    assert {keras.backend.standardize_dtype(v.dtype) for v in model.weights} == {variable}
    # A few roundings of 8 or 11 bits on numbers of the size of the largest one.
    tolerance = {"bfloat16": 2**-5, "float16": 2**-8, "float64": 1e-6}[compute]
    error = np.abs(ops.convert_to_numpy(ops.cast(found, "float64")) - exact).max()
    assert error <= tolerance * np.abs(exact).max()


@pytest.mark.parametrize(("cls", "form"), CALLED)
@pytest.mark.parametrize("unknown", [(), (0,), (0, 1)], ids=["none", "batch", "batch and tokens"])
def test_output_spec_is_what_comes_out(cls, form, unknown):
    x, made = ROWS[cls].inputs, make(cls, **form)
    shape = [None if axis in unknown else size for axis, size in enumerate(x.shape)]
    spec = made.compute_output_spec(keras.KerasTensor(shape, "float32"))
    out = ops.convert_to_numpy(made(x))
    assert len(spec.shape) == out.ndim and spec.dtype == out.dtype
    for axis, (said, size) in enumerate(zip(spec.shape, out.shape, strict=True)):
        assert said == size or (said is None and axis in unknown)


@pytest.mark.parametrize(("cls", "form"), CALLED)
def test_trains_inside_fit(cls, form):
    """Every weight that has a gradient moves, and nothing else appears."""
    model, x = as_model(cls, **form), ROWS[cls].inputs
    count = len(model.weights)
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    model.fit(x, np.zeros(model(x).shape, "float32"), epochs=1, verbose=0)
    assert len(model.weights) == count
    after = model.get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(np.all(np.isfinite(weight)) for weight in after)


@pytest.mark.parametrize(("cls", "form"), CALLED)
def test_sub_layers_have_names_of_their_own(cls, form):
    """Variable paths are public: none may depend on how many layers were built before."""
    first, second = (make(cls, **form) for _ in range(2))
    for made in (first, second):
        made.build(ROWS[cls].inputs.shape)
    assert [v.path for v in first.weights] == [v.path for v in second.weights]
    assert len({v.path for v in first.weights}) == len(first.weights)
