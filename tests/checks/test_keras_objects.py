"""What every public layer, model and initializer must pass.

A row says how to make one with every argument away from its default, what it takes, and what it
must refuse. A public class without a row fails.
"""

import functools
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
    inputs: np.ndarray | dict | None = None  # an array, or arrays by the names that `call` has
    required: dict = field(default_factory=dict)  # what the arguments under `bad` need beside them
    forms: tuple = ({},)  # changes of the arguments that make `call` take another path
    hidden: tuple = ()  # arguments whose names mean another thing as attributes of a Keras layer


PROMPTS = in_context_regression(4, dim=3, context=6)[0]
BAD_STDDEV = [("stddev", value) for value in (-1.0, float("nan"), float("inf"), "0.1", None)]
BAD_SEED = [("seed", value) for value in (-1, 0.5, 2**32, True, "0")]
BAD_PARAMETRIZATION = [("parametrization", value) for value in ("Block", None, 1)]
BAD_ACTIVATION = [("activation", value) for value in ("Softmax", "linear", 1)]
FORMS = ({}, {"activation": None})

TOKENS, CONTEXT, HEADS, IMAGES = (
    np.random.default_rng(5).normal(size=shape).astype("float32")
    for shape in ((3, 5, 8), (3, 6, 7), (3, 5, 2, 4), (3, 4, 6, 2))
)
UNIT_NORM = keras.constraints.UnitNorm(axis=0)
KERNEL = {
    "kernel_initializer": initializers.Normal(0.2, seed=3),
    "bias_initializer": keras.initializers.RandomNormal(stddev=0.1),
}
PROJECTIONS = KERNEL | {
    "kernel_regularizer": keras.regularizers.L2(0.1),
    "bias_regularizer": keras.regularizers.L1(0.1),
    "kernel_constraint": UNIT_NORM,
    "bias_constraint": keras.constraints.NonNeg(),
}

HEADED = PROJECTIONS | {
    "num_heads": 2,
    "key_dim": 4,
    "value_dim": 6,
    "dropout": 0.2,
    "use_bias": False,
    "output_shape": (3, 2),
    "activity_regularizer": keras.regularizers.L2(0.3),
    "query_key": [layers.QueryKeyNormalization, layers.RotaryEmbedding],
}


def bad(*names):
    """Values that an argument of such a name never takes."""
    kinds = {
        ("dropout",): (-0.1, 1.0, "0.1", None),
        ("use_bias", "use_gate", "normalize", "center", "scale", "norm_first"): (1, None),
        ("epsilon", "max_wavelength"): (0.0, -1.0, float("nan"), "1", None),
        ("seed",): (-1, 0.5, True),
        ("num_heads", "key_dim", "hidden_dim", "embed_dim", "chunk_size"): (0, -1, 2.0, True, None),
        ("value_dim", "sliding_window"): (0, -1, 2.0, True),
        ("axis",): ((), (1, 1), 1.0, None),
        ("normalization", "kind", "activation"): ("Layer", None, 1),
        ("parametrization", "form"): ("Merged", None),
        ("attention_axes",): (2, (1, 2), ()),
        ("output_shape",): (0, (), (2, 0.5), "2"),
        ("patch_size",): (0, (2, 0), (2,), 1.5, None),
        ("flash_attention",): ("yes",),
    }
    found = {name: values for same, values in kinds.items() for name in same}
    for name in names:
        yield from ((name, value) for value in found.get(name, ("no_such_thing",)))


ROWS = {
    initializers.Normal: Row(
        {"stddev": 0.3, "seed": 4, "path": "here"},
        [*BAD_STDDEV, *BAD_SEED, ("path", None)],
    ),
    initializers.Uniform: Row(
        {"limit": 0.3, "seed": 4, "path": "here"},
        [*[("limit", value) for _, value in BAD_STDDEV], *BAD_SEED, ("path", None)],
    ),
    layers.LinearSelfAttention: Row(
        {"parametrization": "block", "stddev": 0.3, "seed": 4, "activation": "softmax"},
        [*BAD_STDDEV, *BAD_SEED, *BAD_PARAMETRIZATION, *BAD_ACTIVATION],
        PROMPTS,
        {"name": "attention"},
        FORMS,
    ),
    layers.MultiHeadAttention: Row(
        HEADED
        | {
            "attention_axes": (1,),
            "sliding_window": 2,
            "flash_attention": False,
            "use_gate": True,
            "seed": 4,
            "parametrization": "factored",
        },
        [
            *bad("num_heads", "key_dim", "value_dim", "dropout", "use_bias", "output_shape"),
            *bad("attention_axes", "sliding_window", "flash_attention", *PROJECTIONS),
            *bad("activity_regularizer", "use_gate", "seed", "parametrization", "query_key"),
            *[("query_key", value) for value in ([], len)],
        ],
        {"query": TOKENS, "value": CONTEXT},
        {"num_heads": 2, "key_dim": 4},
        (
            {},
            {
                "parametrization": "merged",
                "value_dim": None,
                "use_gate": False,
                "query_key": None,
                "use_bias": True,
            },
        ),
        ("output_shape", "activity_regularizer"),
    ),
    layers.LinearAttention: Row(
        HEADED
        | {
            "feature_map": "softmax",
            "normalize": False,
            "form": "recurrent",
            "chunk_size": 4,
            "seed": 4,
        },
        [
            *bad("num_heads", "key_dim", "value_dim", "dropout", "use_bias", "output_shape"),
            *bad("normalize", "chunk_size", *PROJECTIONS, "activity_regularizer", "seed"),
            *bad("query_key", "form"),
            *[("feature_map", value) for value in ("Softmax", None, 1)],
            *[("query_key", value) for value in ([], len)],
        ],
        {"query": TOKENS, "value": CONTEXT},
        {"num_heads": 2, "key_dim": 4},
        ({}, {"form": "parallel"}, {"form": "chunked"}),
        ("output_shape", "activity_regularizer"),
    ),
    layers.RotaryEmbedding: Row(
        {"max_wavelength": 100.0}, [*bad("max_wavelength")], {"query": HEADS, "key": HEADS[:, 1:]}
    ),
    layers.QueryKeyNormalization: Row(
        {"normalization": "layer", "epsilon": 0.1},
        [*bad("normalization", "epsilon")],
        {"query": HEADS, "key": HEADS[:, 1:]},
        forms=({}, {"normalization": "rms"}),
    ),
    layers.LayerNormalization: Row(
        {
            "axis": (2, 3),
            "epsilon": 0.1,
            "center": False,
            "scale": False,
            "beta_initializer": keras.initializers.RandomNormal(stddev=0.1),
            "gamma_initializer": initializers.Normal(0.2, seed=3),
            "beta_regularizer": keras.regularizers.L1(0.1),
            "gamma_regularizer": keras.regularizers.L2(0.1),
            "beta_constraint": keras.constraints.NonNeg(),
            "gamma_constraint": UNIT_NORM,
        },
        [
            *bad("axis", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer"),
            *bad("beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint"),
        ],
        HEADS,
        forms=({}, {"axis": 2, "center": True, "scale": True}),
    ),
    layers.RMSNormalization: Row({"axis": (2,), "epsilon": 0.1}, [*bad("axis", "epsilon")], TOKENS),
    layers.FeedForward: Row(
        KERNEL
        | {
            "hidden_dim": 6,
            "activation": "swiglu",
            "dropout": 0.2,
            "use_bias": False,
            "seed": 4,
        },
        [*bad("hidden_dim", "activation", "dropout", "use_bias", "seed", *KERNEL)],
        TOKENS,
        {"hidden_dim": 6},
        ({}, {"activation": "gelu_tanh", "use_bias": True}),
    ),
    layers.PatchEmbedding: Row(
        KERNEL | {"patch_size": (2, 3), "embed_dim": 6, "use_bias": False},
        [*bad("patch_size", "embed_dim", "use_bias", *KERNEL)],
        IMAGES,
        {"patch_size": 2, "embed_dim": 6},
    ),
    layers.PositionEmbedding: Row(
        {
            "size": (1, 5),
            "kind": "sincos2d",
            "initializer": initializers.Normal(0.2, seed=3),
            "max_wavelength": 100.0,
        },
        [
            *bad("kind", "initializer", "max_wavelength"),
            *[("size", value) for value in (0, 2.0, (2, 3), None)],
        ],
        TOKENS,
        {"size": 5},
        ({}, {"kind": "learned", "size": 7}, {"kind": "sincos", "size": None}),
    ),
    layers.TransformerBlock: Row(
        {
            "attention": functools.partial(layers.MultiHeadAttention, 2, 4),
            "feed_forward": functools.partial(layers.FeedForward, 6),
            "normalization": "rms",
            "norm_first": False,
            "dropout": 0.2,
            "epsilon": 0.1,
            "seed": 4,
        },
        [
            *bad("attention", "feed_forward", "normalization", "norm_first", "dropout"),
            *bad("epsilon", "seed"),
            *[("attention", value) for value in (None, {"class_name": "Dense"})],
        ],
        TOKENS,
        {"attention": functools.partial(layers.MultiHeadAttention, 2, 4)},
        ({}, {"norm_first": True, "feed_forward": None, "normalization": "layer"}),
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
FORMED = [
    pytest.param(cls, form, id="-".join([cls.__name__, *map(str, form.values())]))
    for cls, row in ROWS.items()
    for form in row.forms
]
CALLED = [param for param in FORMED if ROWS[param.values[0]].inputs is not None]
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


def plain(name, value, made):
    """What a config holds: Keras' objects and layers as their configs, all else as it is."""
    if isinstance(value, list):
        return [plain(f"{name}_{index}", one, made) for index, one in enumerate(value)]
    if type(value).__module__.startswith(("keras.", "wdattn.")):
        return keras.saving.serialize_keras_object(value)
    if callable(value):
        return keras.saving.serialize_keras_object(value(name=name, dtype=made.dtype_policy))
    return value


def call(made, inputs):
    return made(**inputs) if isinstance(inputs, dict) else made(inputs)


def by_name(inputs):
    return inputs if isinstance(inputs, dict) else {"inputs": inputs}


def as_dtype(inputs, dtype):
    return keras.tree.map_structure(lambda x: x.astype(dtype), inputs)


def numpy(outputs):
    """All outputs as one list of arrays."""
    return [ops.convert_to_numpy(x) for x in keras.tree.flatten(outputs)]


def as_model(cls, **kwargs):
    """A model with non-trivial weights: the layer's in a functional one, or the model itself."""
    made, arrays = make(cls, **kwargs), ROWS[cls].inputs
    if isinstance(made, keras.Model):
        return made
    inputs = {name: keras.Input(x.shape[1:], name=name) for name, x in by_name(arrays).items()}
    inputs = inputs if isinstance(arrays, dict) else inputs["inputs"]
    return keras.Model(inputs, call(made, inputs))


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
    """Where one argument excludes others, another form of the row sets it."""
    row, parameters = ROWS[cls], own_parameters(cls)
    assert set(row.arguments) == set(parameters)
    for name, default in parameters.items():
        values = [(row.arguments | form)[name] for form in ({}, *row.forms)]
        assert any(value is not default and value != default for value in values), name
    assert {name for name, _ in row.bad} == set(parameters)


@pytest.mark.parametrize(("cls", "form"), FORMED)
def test_config_holds_every_argument(cls, form):
    base = BASE if is_layer(cls) else {}
    made = make(cls, **form, **base)
    arguments, config = ROWS[cls].arguments | form, made.get_config()
    assert set(config) == set(arguments) | set(base)
    wanted = {name: plain(name, value, made) for name, value in arguments.items()}
    assert {name: config[name] for name in arguments} == wanted
    assert {name: type(config[name]) for name in arguments} == {
        name: type(value) for name, value in wanted.items()
    }


@pytest.mark.parametrize(("cls", "form"), FORMED)
def test_config_round_trip_through_json(cls, form):
    made = make(cls, **form, **(BASE if is_layer(cls) else {}))
    text = json.dumps(keras.saving.serialize_keras_object(made))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(again) is cls and again is not made
    assert again.get_config() == made.get_config()
    arguments = {
        name: plain(name, value, made)
        for name, value in (ROWS[cls].arguments | form).items()
        if name not in ROWS[cls].hidden
    }
    assert {name: plain(name, getattr(again, name), again) for name in arguments} == arguments
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
        cls(**ROWS[cls].required, speling=1)


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
    before = numpy(model(x))
    assert all(map(np.array_equal, before, numpy(loaded(x))))
    weights_only = as_model(cls, **form)
    model.save_weights(tmp_path / "model.weights.h5")
    weights_only.load_weights(tmp_path / "model.weights.h5")
    assert all(map(np.array_equal, before, numpy(weights_only(x))))


@pytest.mark.parametrize(("cls", "form"), CALLED)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_precision(cls, form, policy):
    x = ROWS[cls].inputs
    exact = as_model(cls, **form, dtype="float64")
    model = as_model(cls, **form, dtype=policy)
    model.set_weights(exact.get_weights())
    compute = keras.dtype_policies.get(policy).compute_dtype
    x = as_dtype(x, "float64")
    wanted, found = numpy(exact(x)), keras.tree.flatten(model(x))
    assert {keras.backend.standardize_dtype(one.dtype) for one in found} == {compute}
    variable = "float64" if policy == "float64" else "float32"
    assert {keras.backend.standardize_dtype(v.dtype) for v in model.weights} <= {variable}
    # A few roundings of 8 or 11 bits on numbers of the size of the largest one.
    tolerance = {"bfloat16": 2**-5, "float16": 2**-8, "float64": 1e-6}[compute]
    for one, other in zip(found, wanted, strict=True):
        error = np.abs(ops.convert_to_numpy(ops.cast(one, "float64")) - other).max()
        assert error <= tolerance * np.abs(other).max()


@pytest.mark.parametrize(("cls", "form"), CALLED)
@pytest.mark.parametrize(
    ("unknown", "policy"),
    [((), "float32"), ((0,), "mixed_float16"), ((0, 1), "float32")],
    ids=["none", "batch, half precision", "batch and tokens"],
)
def test_output_spec_is_what_comes_out(cls, form, unknown, policy):
    x, made = ROWS[cls].inputs, make(cls, **form, dtype=policy)

    def partly_known(array):
        shape = [None if axis in unknown else size for axis, size in enumerate(array.shape)]
        return keras.KerasTensor(shape, "float32")

    inputs = by_name(keras.tree.map_structure(partly_known, x))
    specs = keras.tree.flatten(made.compute_output_spec(**inputs))
    for spec, out in zip(specs, numpy(call(made, x)), strict=True):
        assert len(spec.shape) == out.ndim and spec.dtype == out.dtype
        for axis, (said, size) in enumerate(zip(spec.shape, out.shape, strict=True)):
            assert said == size or (said is None and axis in unknown)


@pytest.mark.parametrize(("cls", "form"), CALLED)
def test_trains_inside_fit(cls, form):
    """Every weight that has a gradient moves, and nothing else appears."""
    model, x = as_model(cls, **form), ROWS[cls].inputs
    count = len(model.weights)
    if not count:
        pytest.skip("nothing to train")
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    targets = [np.zeros_like(one) for one in numpy(model(x))]
    model.fit(x, targets if len(targets) > 1 else targets[0], epochs=1, verbose=0)
    assert len(model.weights) == count
    after = model.get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(np.all(np.isfinite(weight)) for weight in after)


@pytest.mark.parametrize(("cls", "form"), CALLED)
def test_sub_layers_have_names_of_their_own(cls, form):
    """Variable paths are public: none may depend on how many layers were built before."""
    first, second = (make(cls, **form) for _ in range(2))
    for made in (first, second):
        call(made, ROWS[cls].inputs)
    assert [v.path for v in first.weights] == [v.path for v in second.weights]
    assert len({v.path for v in first.weights}) == len(first.weights)
