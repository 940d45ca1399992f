"""Every public function and constructor refuses what is not an argument of its kind, by name.

A row says how to call one validly and of which kind each argument is. A kind says which values of
`POOL` are of it, and all others must raise a `ValueError` that names the argument, from our own
code and not from deep inside. A public name without a row fails.
"""

import functools
import importlib
import inspect
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import pytest

import wdattn
from wdattn import layers, optimizers, schedules
from wdattn.optimizers import update_rules

PACKAGE = Path(wdattn.__file__).parent

POOL = {
    "None": None,
    "True": True,
    "text": "3",
    "bytes": b"3",
    "nan": float("nan"),
    "inf": float("inf"),
    "-1": -1,
    "0": 0,
    "0.5": 0.5,
    "2.5": 2.5,
    "huge": 10**400,
    "complex": 1j,
    "object": object(),
    "list": [],
    "dict": {},
    "strings": np.array(["a", "b"]),
    "empty": np.zeros((0,)),
}


@dataclass(frozen=True)
class Kind:
    """The labels of the pool that are valid, and values beside the pool that are not."""

    valid: frozenset
    bad: tuple = ()

    def values(self):
        yield from ((label, value) for label, value in POOL.items() if label not in self.valid)
        yield from ((f"bad {number}", value) for number, value in enumerate(self.bad))

    def __or__(self, labels):
        """The kind with more labels that are valid."""
        return Kind(self.valid | set(labels.split()), self.bad)


def kind(valid="", bad=()):
    return Kind(frozenset(valid.split()), tuple(bad))


def integer(least=1, most=float("inf")):
    fits = {str(value) for value in (-1, 0) if least <= value <= most}
    return Kind(frozenset(fits | ({"huge"} if most == float("inf") else set())), (least - 1,))


def real(low=-float("inf"), high=float("inf"), ends=""):
    """Finite, and between the ends, of which those named ("low", "high") are not allowed."""
    numbers = {"-1": -1, "0": 0, "0.5": 0.5, "2.5": 2.5}
    above = {label for label, x in numbers.items() if x > low or (x == low and "low" not in ends)}
    below = {
        label for label, x in numbers.items() if x < high or (x == high and "high" not in ends)
    }
    return Kind(frozenset(above & below))


def arrays(*shapes):
    """An array of another shape than these."""
    return kind(bad=[np.ones(shape) for shape in shapes])


FLAG, CHOICE, TEXT, ANY = kind("True"), kind(), kind("text"), Kind(frozenset(POOL))
SEED, SEED_OR_NONE = integer(0), integer(0, 2**32 - 1) | "None"
FUNCTION, MODEL, DATA = kind(), kind(), kind(bad=[np.float32(1.0)])
POSITIVE, NOT_NEGATIVE = real(0, ends="low"), real(0)
SHARE, BELOW_ONE = real(0, 1, "low high"), real(0, 1, "high")
SCHEDULE = NOT_NEGATIVE  # or a schedule
FILE = kind("None")
TITLE = TEXT


@dataclass(frozen=True)
class Row:
    """A valid call, made when it is needed, and each argument's kind."""

    call: object  # () -> arguments by name
    kinds: dict = field(default_factory=dict)


X, Y = (np.random.default_rng(3).normal(size=(4, width)).astype("float32") for width in (3, 1))


@functools.cache
def model():
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="dense")])
    made.compile("sgd", "mse")
    return made


@functools.cache
def attention():
    tokens = keras.Input((4, 6))
    made = keras.layers.MultiHeadAttention(2, 3, name="attention")
    return keras.Model(tokens, made(tokens, tokens))


@functools.cache
def record():
    return importlib.import_module("wdattn.diagnostics").attention_layers(attention())[0]


def rows():
    return importlib.import_module("wdattn.spectra").head_rows(record())


def variable():
    return keras.Variable([1.0, 2.0])


def derivative(name):
    call = {name: lambda: keras.ops.sum(variable()), "variables": [variable()]}
    return Row(lambda: call, {name: FUNCTION, "variables": kind(bad=[[3], [None]])})


def diagnostic(data=("x", "y", "loss"), **more):
    """A diagnostic of the model: what it takes besides, as name=(value, kind)."""
    shared = {
        "x": (X, kind(bad=[X[:, :2], X[0, 0], X.tolist(), X[:0]])),
        "y": (Y, kind(bad=[Y[:1], Y[0, 0], Y[:0]])),
        "loss": ("mse", kind("None", [keras.losses.MeanSquaredError])),
        "groups": (
            None,
            kind("None", [{"dense": 3}, {3: "dense"}, {"none": "nowhere"}, {"a": "("}]),
        ),
        "probes": (2, integer(2)),
        "seed": (0, SEED),
        "wrt": ("weights", CHOICE),
    }
    chosen = {name: shared[name] for name in data} | more
    return Row(
        lambda: {"model": model()} | {name: value for name, (value, _) in chosen.items()},
        {"model": kind(bad=[keras.Sequential([keras.layers.Dense(1)])])}
        | {name: of for name, (_, of) in chosen.items()},
    )


def directions():
    return [np.ones(v.shape) for v in model().trainable_variables]


DIRECTION = kind(bad=[[np.ones(3)], [np.ones((3, 1)), None], [np.zeros((3, 1)), np.zeros(1)]])
LIKE_WEIGHTS = kind("None", [[np.ones(3)], [np.ones((3, 1)), None], [np.ones((3, 1)), "a"]])


def plain(**arguments):
    """Rows of one kind each: name=(value, kind)."""
    return Row(
        lambda: {name: value for name, (value, _) in arguments.items()},
        {name: of for name, (_, of) in arguments.items()},
    )


VALUES = ([3.0, 2.0, 1.0], arrays((2, 2), ()))
SINGULAR = (np.array([[3.0, 2.0], [1.0, 0.5]]), kind(bad=[-np.ones((1, 2)), np.ones(())]))
LEFT, RIGHT = (np.ones((2, 5, 3)), arrays((3,), (2, 5, 2))), (np.ones((2, 4, 3)), arrays((2, 4, 2)))

AXES = {"xlabel": ("a", TITLE), "ylabel": ("b", TITLE), "title": ("c", TITLE), "note": ("d", TITLE)}
FIGURE = {name: AXES[name] for name in ("title", "note")}
STEPS = (np.arange(3), kind(bad=[[0, 0, 1], np.ones((2, 2)), [0, 1, np.nan]]))
BAND = ("sd", kind("None"))
COLOURS = (None, kind("None dict"))
CURVE = np.ones((2, 3))
DRAWS = np.arange(1.0, 9.0)

PLOTS = {
    "plots.curves": plain(
        steps=STEPS,
        series=({"Adam": CURVE}, kind(bad=[{"Adam": np.ones(3)}, {"Adam": np.ones((2, 2))}])),
        log=(True, FLAG),
        band=BAND,
        colors=COLOURS,
        marks=(None, kind("None dict")),
        **AXES,
    ),
    "plots.curve_panels": plain(
        steps=STEPS,
        panels=({"A": {"Adam": CURVE}}, kind(bad=[{"A": {}}, {"A": {"Adam": np.ones(3)}}])),
        log=(True, FLAG),
        band=BAND,
        share=(False, FLAG),
        colors=COLOURS,
        **AXES,
    ),
    "plots.backend_overlay": plain(
        steps=STEPS,
        series=({"Adam": {"jax": CURVE, "torch": CURVE}}, kind(bad=[{"Adam": {"jax": CURVE}}])),
        log=(True, FLAG),
        **AXES,
    ),
    "plots.largest_distance": plain(
        backends=({"jax": CURVE, "torch": CURVE}, kind(bad=[{"jax": CURVE}]))
    ),
    "plots.histogram": plain(
        series=({"a": DRAWS}, kind(bad=[{"a": []}, {"a": "text"}])),
        matched=(None, kind("None dict", [{"b": DRAWS}])),
        bins=(5, integer(1, 10**6)),
        density=(True, FLAG),
        zoom=(0.9, real(0, 1, "low") | "None"),
        xlabel=("a", TITLE),
        **FIGURE,
    ),
    "plots.quantiles": plain(
        draws=(DRAWS, kind(bad=[[1.0]])),
        matched=(None, kind("None nan inf -1 0 0.5 2.5 list empty")),
        bins=(5, integer(1, 10**6)),
        zoom=(0.9, real(0, 1, "low") | "None"),
        xlabel=("a", TITLE),
        **FIGURE,
    ),
    "plots.ratios": plain(
        values=({"a": [1.0, 2.0]}, kind(bad=[{"a": "b"}, {"a": []}])),
        intervals=(None, kind("None dict", [{"b": (1, 0, 2)}, {"a": 3}])),
        paper=(None, kind("None dict", [{"b": (1, 2)}, {"a": 3}])),
        threshold=(1.5, POSITIVE | "None"),
        **AXES,
    ),
    "plots.scatter_panels": plain(
        panels=({"a": (CURVE, CURVE)}, kind(bad=[{"a": CURVE[0]}, {"a": (CURVE, CURVE[:1])}])),
        colour=(np.arange(3), kind(bad=[np.ones((2, 2))])),
        fit=(True, FLAG),
        colour_label=("e", TITLE),
        **AXES,
    ),
    "plots.spectra": plain(
        blocks=({"QK": {"a": CURVE}}, kind(bad=[{"QK": {}}, {"QK": {"a": np.ones(3)}}])),
        null=(None, kind("None dict", [{"QK": np.ones((2, 2))}])),
        **FIGURE,
    ),
    "plots.caption": plain(
        scale=("laptop", TEXT),
        backend=("jax", kind("text strings", [[3]])),
        seeds=(range(3), kind("0 huge", [["a"], [0.5]])),
        text=("", TEXT),
    ),
    "plots.png": Row(lambda: {"figure": _figure(), "dpi": 20}, {"figure": kind(), "dpi": POSITIVE}),
    "plots.shrunk": Row(
        lambda: {"png": _png(), "share": 0.5}, {"png": kind(), "share": real(0, 1, "low")}
    ),
}


@functools.cache
def _figure():
    from wdattn import plots

    return plots.curves([0, 1], {"a": [[1.0, 2.0]]})


@functools.cache
def _png():
    from wdattn import plots

    return plots.png(_figure(), 20)


HEADS = {
    "num_heads": (2, integer()),
    "key_dim": (4, integer()),
    "value_dim": (None, integer() | "None"),
    "dropout": (0.0, BELOW_ONE),
    "use_bias": (True, FLAG),
    "output_shape": (None, kind("None huge", [(2, 0), (2, 0.5)])),
    "query_key": (None, kind("None", [[3], len])),
    "activity_regularizer": (None, kind("None", ["no_such"])),
    "seed": (None, SEED_OR_NONE),
}
# An array is Keras' constant initializer.
INITIALIZER = kind("strings empty", ["no_such"])
INITIALIZERS = dict.fromkeys(("kernel_initializer", "bias_initializer"), ("zeros", INITIALIZER))
OF_KERNEL_AND_BIAS = {
    f"{part}_{what}": (None, kind("None", ["no_such"]))
    for part in ("kernel", "bias")
    for what in ("regularizer", "constraint")
}
PROJECTIONS = INITIALIZERS | OF_KERNEL_AND_BIAS
WAVELENGTH, EPSILON = (100.0, POSITIVE), (1e-3, POSITIVE)
NORMALIZATION = ("layer", CHOICE)
PARAMETRIZATION = ("full", CHOICE)
STDDEV = (0.1, NOT_NEGATIVE)
OPTIONAL_SEED = (None, SEED_OR_NONE)

LAYERS = {
    "initializers.Normal": plain(stddev=STDDEV, seed=OPTIONAL_SEED, path=("a", TEXT)),
    "initializers.Uniform": plain(limit=STDDEV, seed=OPTIONAL_SEED, path=("a", TEXT)),
    "layers.LinearSelfAttention": plain(
        parametrization=PARAMETRIZATION,
        stddev=STDDEV,
        seed=OPTIONAL_SEED,
        activation=(None, kind("None")),
    ),
    "layers.MultiHeadAttention": plain(
        **HEADS,
        **PROJECTIONS,
        attention_axes=(None, kind("None", [(1, 1)])),
        sliding_window=(None, integer() | "None"),
        flash_attention=(None, kind("None True")),
        use_gate=(False, FLAG),
        parametrization=("factored", CHOICE),
    ),
    "layers.LinearAttention": plain(
        **HEADS,
        **PROJECTIONS,
        feature_map=("elu", CHOICE),
        normalize=(True, FLAG),
        form=("chunked", CHOICE),
        chunk_size=(4, integer()),
    ),
    "layers.RotaryEmbedding": plain(max_wavelength=WAVELENGTH),
    "layers.QueryKeyNormalization": plain(normalization=NORMALIZATION, epsilon=EPSILON),
    "layers.LayerNormalization": plain(
        axis=(-1, kind("-1 0 huge", [(1, 1), (1, 0.5)])),
        epsilon=EPSILON,
        center=(True, FLAG),
        scale=(True, FLAG),
        **{f"{part}_initializer": ("zeros", INITIALIZER) for part in ("beta", "gamma")},
        **{
            f"{part}_{what}": (None, kind("None", ["no_such"]))
            for part in ("beta", "gamma")
            for what in ("regularizer", "constraint")
        },
    ),
    "layers.RMSNormalization": plain(axis=(-1, kind("-1 0 huge", [(1, 1)])), epsilon=EPSILON),
    "layers.FeedForward": plain(
        hidden_dim=(4, integer()),
        activation=("gelu", CHOICE),
        dropout=(0.0, BELOW_ONE),
        use_bias=(True, FLAG),
        seed=OPTIONAL_SEED,
        **INITIALIZERS,
    ),
    "layers.PatchEmbedding": plain(
        patch_size=(2, kind("huge", [(2, 0), (2,)])),
        embed_dim=(4, integer()),
        use_bias=(True, FLAG),
        **INITIALIZERS,
    ),
    "layers.PositionEmbedding": plain(
        size=(4, kind("huge", [(2, 0)])),
        kind=("learned", CHOICE),
        initializer=("zeros", INITIALIZER),
        max_wavelength=WAVELENGTH,
    ),
    "layers.TransformerBlock": plain(
        attention=(functools.partial(layers.MultiHeadAttention, 2, 4), kind()),
        feed_forward=(None, kind("None")),
        normalization=NORMALIZATION,
        norm_first=(True, FLAG),
        dropout=(0.0, BELOW_ONE),
        epsilon=EPSILON,
        seed=OPTIONAL_SEED,
    ),
    "models.LinearTransformer": plain(
        depth=(2, integer()),
        dim=(3, integer()),
        parametrization=("block", CHOICE),
        stddev=STDDEV,
        seed=OPTIONAL_SEED,
        activation=(None, kind("None")),
    ),
}

QUERY = np.ones((2, 5, 2, 4), "float32")
OPS = {
    "ops.gram_recursion": plain(
        prompts=(np.ones((2, 4, 3), "float32"), arrays((3,))),
        values=([np.eye(3, dtype="float32")], kind(bad=[[np.ones((2, 3), "float32")], [3]])),
        key_queries=([np.eye(3, dtype="float32")], kind(bad=[[np.ones((2, 3), "float32")], [3]])),
    ),
    "ops.linear_attention": plain(
        query=(QUERY, arrays((3,))),
        key=(QUERY, arrays((3,))),
        value=(QUERY, arrays((3,))),
        mask=(None, kind("None")),
        feature_map=("elu", CHOICE),
        causal=(False, FLAG),
        normalize=(True, FLAG),
        form=("chunked", CHOICE),
        state=(None, kind("None")),
        return_state=(False, FLAG),
    ),
    "ops.linear_attention_scores": plain(
        query=(QUERY, arrays((3,))),
        key=(QUERY, arrays((3,))),
        mask=(None, kind("None")),
        feature_map=("elu", CHOICE),
        causal=(False, FLAG),
        normalize=(True, FLAG),
    ),
    "ops.moments": plain(
        x=(X, kind("nan inf -1 0 0.5 2.5 list empty")), axes=(-1, kind("-1 0", [(0, 0), 5])),
        keepdims=(False, FLAG),
    ),
    "ops.rotary_embedding": plain(
        x=(QUERY, arrays((3,))),
        positions=(None, kind("None -1 0")),
        max_wavelength=WAVELENGTH,
    ),
    "ops.Chunked": plain(size=(4, integer())),
}  # fmt: skip

RATE = (0.1, SCHEDULE)
COUPLED = {
    "learning_rate": RATE,
    "weight_decay": (0.1, SCHEDULE | "None"),
    "cautious": (False, FLAG),
    "timescale": (None, POSITIVE | "None"),
    "coupling": ("decoupled", CHOICE),
    "decay_rules": ("all", kind(bad=[[("a",)], [("(", 1.0, 1.0)], [("a", -1.0, 1.0)]])),
    "peak_learning_rate": (None, POSITIVE | "None"),
    "effective_rate": (False, FLAG),
}
BETA = (0.9, BELOW_ONE)
START = (0.5, NOT_NEGATIVE)
LENGTH = (3, integer())
OPTIMIZERS = {
    "optimizers.AdamW": plain(**COUPLED, beta_1=BETA, beta_2=BETA, epsilon=EPSILON),
    "optimizers.SGDW": plain(**COUPLED, momentum=BETA, nesterov=(False, FLAG)),
    "optimizers.Muon": plain(
        **COUPLED,
        momentum=BETA,
        nesterov=(True, FLAG),
        iterations=(5, integer()),
        exclude=((), kind("list", [["("], [3]])),
        beta_1=BETA,
        beta_2=BETA,
        epsilon=EPSILON,
    ),
    "optimizers.MuonRule": plain(
        momentum=BETA,
        nesterov=(True, FLAG),
        iterations=(5, integer()),
        adam=(update_rules.Adam(), kind()),
        exclude=((), kind("list", [["("], [3]])),
    ),
    "optimizers.DecayRules": plain(rules=COUPLED["decay_rules"]),
    "optimizers.Knob": plain(name=("a", TEXT)),
    "optimizers.Update": plain(
        rule=(update_rules.Adam(), kind()),
        learning_rate=RATE,
        weight_decay=(0.1, SCHEDULE),
        decay_rules=COUPLED["decay_rules"],
        coupling=("decoupled", CHOICE),
        cautious=(False, FLAG),
        clipnorm=(None, POSITIVE | "None inf"),
        average=(None, BELOW_ONE | "None"),
        effective_rate=(False, FLAG),
        peak_learning_rate=(None, POSITIVE | "None"),
        after=(None, kind("None")),
    ),
    "optimizers.with_weight_decay": plain(optimizer=(keras.optimizers.Lion, kind())),
    "schedules.Constant": plain(value=START),
    "schedules.Cosine": plain(start=START, steps=LENGTH, floor=(0.1, NOT_NEGATIVE)),
    "schedules.Exponential": plain(start=START, factor=(0.5, POSITIVE), steps=LENGTH),
    "schedules.InverseSquareRoot": plain(start=START, steps=LENGTH),
    "schedules.InverseTo": plain(rate=(schedules.Constant(0.5), POSITIVE), product=START),
    "schedules.Linear": plain(start=START, end=START, steps=LENGTH),
    "schedules.Piecewise": plain(
        boundaries=((2, 4), kind("huge", [(4, 2), (2, 0.5)])),
        pieces=((0.5, 0.2, 0.1), kind(bad=[(0.5,), (0.5, "a", 0.1)])),
    ),
    "schedules.ProportionalTo": plain(rate=(schedules.Constant(0.5), NOT_NEGATIVE), factor=START),
    "schedules.Step": plain(start=START, boundaries=((2, 4), kind("huge", [(4, 2)])), factor=START),
    "schedules.Warmup": plain(steps=LENGTH, then=RATE, start=START),
}

DIAGNOSTICS = {
    **{f"autodiff.{name}": derivative("loss") for name in ("value_and_grad", "hvp")},
    **{f"autodiff.{name}": derivative("function") for name in ("jvp", "vjp")},
    "autodiff.jit": plain(function=(len, FUNCTION)),
    "autodiff.vmap": plain(function=(len, FUNCTION), in_axes=(0, kind("-1 0 huge", [("a",)]))),
    "callbacks.Monitor": plain(
        diagnostics=({"a": len}, kind(bad=[{3: len}, {"a": 3}, [len]])),
        every=(1, integer()),
        file=(None, FILE),
    ),
    "callbacks.StepLog": plain(every=(1, integer()), file=(None, FILE)),
    "callbacks.WeightDecayScheduler": plain(schedule=(lambda epoch, decay: decay, FUNCTION)),
    "data.in_context_regression": plain(
        batch_size=(2, integer(1, 2**32 - 1)),
        setting=("normal", CHOICE),
        dim=(2, integer(1, 2**32 - 1)),
        context=(2, integer(1, 2**32 - 1)),
        seed=(0, integer(0, 2**32 - 1)),
        stream=(0, integer(0, 2**32 - 1)),
        step=(0, integer(0, 2**32 - 1)),
        features=(None, kind("None", [lambda x: x[..., :1]])),
    ),
    "diagnostics.condition_number": diagnostic(),
    "diagnostics.gradient_norm": diagnostic(),
    "diagnostics.gradient_norms": diagnostic(("x", "y", "loss", "groups")),
    "diagnostics.weight_norms": diagnostic(("groups",)),
    "diagnostics.hessian_trace": diagnostic(("x", "y", "loss", "probes", "seed", "groups")),
    "diagnostics.hessian_eigenvalues": diagnostic(
        ("x", "y", "loss", "seed"),
        count=(1, integer(1, 4)),
        tolerance=(0.1, NOT_NEGATIVE),
        limit=(5, integer()),
    ),
    "diagnostics.directional_smoothness": diagnostic(direction=(directions(), DIRECTION)),
    "diagnostics.generalized_smoothness": diagnostic(
        ("x", "y", "loss", "seed"), direction=(None, DIRECTION | "None")
    ),
    "diagnostics.gradient_noise": diagnostic(
        ("loss", "seed"),
        batches=([(X, Y), (X, Y)], kind(bad=[[(X, Y)], [(X, Y), (X,)], X])),
        reference=((X, Y), kind(bad=[[(X,)], X, (X, Y, X)])),
    ),
    "diagnostics.jacobian_norm": diagnostic(("x", "wrt")),
    "diagnostics.jacobian_norm_estimate": diagnostic(("x", "wrt", "probes", "seed")),
    "diagnostics.effective_rate": diagnostic(
        ("groups",),
        previous=(None, LIKE_WEIGHTS),
        rate=(0.1, NOT_NEGATIVE | "None"),
        decay=(0.1, NOT_NEGATIVE | "None"),
    ),
    "diagnostics.explain_optimizer": diagnostic((), optimizer=(keras.optimizers.SGD(0.1), kind())),
    "diagnostics.refresh_batch_statistics": diagnostic(
        (), x=(X, kind(bad=[X[0, 0], X[:0], X.tolist()])), batch_size=(2, integer())
    ),
    "diagnostics.noise_statistics": plain(
        noise=(np.ones((3, 2)), arrays((3,), (1, 2), (2, 0))), seed=(0, SEED)
    ),
    "diagnostics.hill_index": plain(values=VALUES, share=(0.5, SHARE)),
    "diagnostics.quantile_ratio": plain(values=VALUES, quantile=(0.9, real(0.5, 1, "low high"))),
    "diagnostics.attention_layers": Row(lambda: {"model": attention()}, {"model": MODEL}),
    "diagnostics.iterate_attention_layers": Row(
        lambda: {"model": attention(), "layer": None},
        {"model": MODEL, "layer": integer(0) | "None"},
    ),
    "diagnostics.load_model": Row(lambda: None, {"source": TEXT}),  # its own tests load one
}

SPECTRA = {
    "balancedness": plain(left=LEFT, right=RIGHT, rotary=(None, kind("None"))),
    "nuclear_gap": plain(left=LEFT, right=RIGHT),
    "row_norm_correlation": plain(left=LEFT, right=RIGHT, rotary=(None, kind("None"))),
    "product_spectra": plain(left=LEFT, right=RIGHT),
    "pseudo_rank": plain(
        singular_values=SINGULAR, width=(2, integer() | "None"), share=(0.9, real(0, 1, "low"))
    ),
    "entropy_rank": plain(singular_values=SINGULAR),
    "stable_rank": plain(singular_values=SINGULAR),
    "gaussian_null": plain(
        left_rows=(3, integer()),
        right_rows=(3, integer()),
        rank=(2, integer()),
        draws=(2, integer()),
        seed=(0, SEED),
    ),
}

PATH = TEXT  # one that names no file is an OSError
FILES = {
    "spectra.hugging_face_layers": Row(
        lambda: {"path": "none"},
        {"path": PATH, "heads": integer() | "None", "layer": integer(0) | "None"},
    ),
    "weights.Safetensors": Row(lambda: None, {"path": PATH}),
    "weights.is_safetensors": Row(lambda: None, {"path": PATH}),
    "weights.keras_config": Row(lambda: None, {"path": PATH}),
    "weights.open_plain": Row(lambda: None, {"path": PATH}),
    "weights.read_json": Row(lambda: None, {"path": PATH}),
    "weights.escaped": plain(text=("a", TEXT)),
}  # their own tests read files


def starts():
    return importlib.import_module("wdattn.replicas").weights_by_path(model())


REPRODUCTION = {
    "replicas.Replicas": Row(
        lambda: {
            "model": model(),
            "loss": lambda y_true, y_pred: keras.ops.mean((y_true - y_pred) ** 2),
            "update": optimizers.Update(),
            "starts": [starts()],
            "knobs": None,
            "batch_of": None,
            "skip_nonfinite": False,
        },
        {
            "model": MODEL,
            "loss": FUNCTION,
            "update": kind(),
            "starts": kind(bad=[[{}], [3]]),
            "knobs": kind("None dict"),
            "batch_of": kind("None", [[1], [0, 0], [0.5]]),
            "skip_nonfinite": FLAG,
        },
    ),
    "replicas.weights_by_path": Row(lambda: {"model": model()}, {"model": MODEL}),
    "reproduction.every": plain(interval=(2, integer())),
    "reproduction.last": plain(count=(2, integer())),
    "reproduction.few_skipped": plain(share=(0.5, real(0, 1))),
    "reproduction.final": plain(column=("loss", TEXT)),
    "reproduction.t_interval": plain(values=([1.0, 2.0], arrays((2, 2), ())), level=(0.9, SHARE)),
}

ROWS = {
    **DIAGNOSTICS,
    **LAYERS,
    **OPS,
    **OPTIMIZERS,
    **PLOTS,
    **{f"spectra.{name}": row for name, row in SPECTRA.items()},
    **FILES,
    **REPRODUCTION,
    "spectra.head_rows": Row(
        lambda: {"attention": record(), "biases": False}, {"attention": kind(), "biases": FLAG}
    ),
    "spectra.rows_of": Row(
        lambda: {"layers": [record()], "biases": False, "first": 0},
        {"layers": kind("list dict"), "biases": FLAG, "first": integer(0)},
    ),
}

# What the package makes and hands out: nobody calls these.
RECORDS = {
    "diagnostics.ConditionNumber",
    "diagnostics.DirectionalSmoothness",
    "diagnostics.EffectiveRate",
    "diagnostics.GeneralizedSmoothness",
    "diagnostics.GradientNoise",
    "diagnostics.GroupNorms",
    "diagnostics.HessianEigenvalues",
    "diagnostics.HessianTrace",
    "diagnostics.JacobianNorm",
    "diagnostics.JacobianNormEstimate",
    "diagnostics.OptimizerReport",
    "ops.AttentionFactors",
    "ops.AttentionProducts",
    "optimizers.Coupling",
    "optimizers.DecayRow",
    "optimizers.DecayTable",
    "optimizers.Layout",
    "plots.ledger",  # of the ledger's own rows
    "schedules.Schedule",  # a base
    "spectra.AttentionHeads",
    "spectra.Balancedness",
    "spectra.GaussianNull",
    "spectra.MergedHeads",
    "spectra.NuclearGap",
    "spectra.PseudoRank",
    "spectra.SpectraTable",
    "spectra.as_csv",
    "spectra.as_json",
    "spectra.panels",
}
# Rooms whose names need a paper, a store or records: their own tests hold their arguments, and what
# can be called alone has a row all the same. `backend` is not for users.
ELSEWHERE = ("backend", "ledger", "papers", "reproduction")
# Readers of files, which their own tests call.
NOT_CALLED = {
    "diagnostics.load_model",
    "spectra.hugging_face_layers",
    *(name for name in FILES if name != "weights.escaped"),
}
# What is not mended yet, to be emptied: `optimizers`, `schedules` and `replicas`.
EXCEPTIONS = {
    "optimizers.AdamW.coupling",
    "optimizers.AdamW.decay_rules",
    "optimizers.AdamW.learning_rate",
    "optimizers.DecayRules.rules",
    "optimizers.Muon.coupling",
    "optimizers.Muon.decay_rules",
    "optimizers.Muon.exclude",
    "optimizers.Muon.learning_rate",
    "optimizers.MuonRule.adam",
    "optimizers.MuonRule.exclude",
    "optimizers.SGDW.coupling",
    "optimizers.SGDW.decay_rules",
    "optimizers.SGDW.learning_rate",
    "optimizers.Update.clipnorm",
    "optimizers.Update.decay_rules",
    "replicas.Replicas.batch_of",
    "replicas.Replicas.knobs",
    "replicas.Replicas.loss",
    "replicas.Replicas.starts",
    "replicas.weights_by_path.model",
    "schedules.Constant.value",
    "schedules.Cosine.floor",
    "schedules.Cosine.start",
    "schedules.Exponential.factor",
    "schedules.Exponential.start",
    "schedules.InverseSquareRoot.start",
    "schedules.InverseTo.product",
    "schedules.InverseTo.rate",
    "schedules.Linear.end",
    "schedules.Linear.start",
    "schedules.Piecewise.boundaries",
    "schedules.Piecewise.pieces",
    "schedules.ProportionalTo.factor",
    "schedules.ProportionalTo.rate",
    "schedules.Step.boundaries",
    "schedules.Step.factor",
    "schedules.Step.start",
    "schedules.Warmup.start",
    "schedules.Warmup.then",
}


def public():
    for room in wdattn.__all__:
        if room in ("__version__", "reproduce", *ELSEWHERE):
            continue
        module = importlib.import_module(f"wdattn.{room}")
        for name in module.__all__:
            thing = getattr(module, name)
            at_home = getattr(thing, "__module__", "").split(".")[1:2] == [room]
            if callable(thing) and at_home:
                yield f"{room}.{name}"


def room_of(name):
    return name.partition(".")[0]


def thing(name):
    room, _, own = name.partition(".")
    return getattr(importlib.import_module(f"wdattn.{room}"), own)


def called(name, arguments):
    result = thing(name)(**arguments)
    return list(result) if inspect.isgenerator(result) else result


def objection(name, argument, value):
    """What is wrong with how a value is refused, in a word, or None."""
    call = ROWS[name].call() or {}
    with np.errstate(all="ignore"):
        try:
            called(name, call | {argument: value})
        except ValueError as error:
            last = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
            if not last.is_relative_to(PACKAGE):
                return f"deep: from {last.name}: {str(error)[:80]}"
            if f"`{argument}" not in str(error):
                return f"unnamed: {str(error)[:80]}"
            return None
        except Exception as error:
            last = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
            where = "deep" if not last.is_relative_to(PACKAGE) else "unclear"
            return f"{where}: {type(error).__name__} from {last.name}: {str(error)[:80]}"
    return "accepted"


def objections(name):
    """Each argument's values that are not refused as they must be."""
    return {
        argument: wrong
        for argument, of in ROWS[name].kinds.items()
        if (
            wrong := [
                f"{argument}={value!r:.60}: {told}"
                for _, value in of.values()
                if (told := objection(name, argument, value)) is not None
            ]
        )
    }


def test_every_public_name_has_a_row():
    assert set(public()) - RECORDS == {name for name in ROWS if room_of(name) not in ELSEWHERE}


@pytest.mark.parametrize("name", [name for name in ROWS if name not in NOT_CALLED])
def test_the_row_is_a_valid_call_and_knows_every_argument(name):
    parameters = inspect.signature(thing(name)).parameters.values()
    own = {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    assert set(ROWS[name].kinds) == own
    called(name, ROWS[name].call())


@pytest.mark.filterwarnings("ignore")  # of what is refused a moment later
@pytest.mark.parametrize("name", ROWS)
def test_what_is_not_of_its_kind_is_refused_by_name(name):
    wrong = objections(name)
    told = [line for argument, lines in wrong.items() for line in lines
            if f"{name}.{argument}" not in EXCEPTIONS]  # fmt: skip
    assert not told, "\n".join(told)
    mended = {f"{name}.{argument}" for argument in ROWS[name].kinds} & EXCEPTIONS
    assert not mended - {f"{name}.{argument}" for argument in wrong}, "take it off EXCEPTIONS"
