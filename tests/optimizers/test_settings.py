"""Other ways to say a rate and a decay, and what makes an optimizer anew."""

import math
import pickle

import keras
import numpy as np
import pytest
from keras import ops

from wdattn.optimizers import SGDW, AdamW, Knob, Update, with_weight_decay
from wdattn.optimizers.update_rules import SGD
from wdattn.schedules import Constant, Cosine, Linear, Warmup


def number(scalar):
    return float(ops.convert_to_numpy(scalar))


# Timescales


@pytest.mark.parametrize("timescale", [50, (5, 10), [2.5, 20]])
def test_a_timescale_is_a_decay(applied, timescale):
    """After τ steps without a gradient a weight is (1 - 1/τ)^τ of what it was."""
    for coupling in ("decoupled", "independent", "corrected"):
        optimizer = AdamW(0.02, timescale=timescale, coupling=coupling)
        (found,) = applied(optimizer, [np.ones(2, "float32")], [[np.zeros(2, "float32")]] * 50)
        np.testing.assert_allclose(found, (1 - 1 / 50) ** 50, rtol=1e-5)
        again = AdamW.from_config(optimizer.get_config())
        assert number(again.weight_decay) == number(optimizer.weight_decay)


def test_the_peak_of_a_schedule_makes_the_timescale():
    optimizer = AdamW(Warmup(5, Cosine(0.02, 100)), timescale=50)
    assert number(optimizer.weight_decay) == pytest.approx(1.0)
    optimizer.weight_decay = 0.5
    assert optimizer.timescale is None and optimizer.get_config()["weight_decay"] == 0.5


def test_a_timescale_needs_a_peak_and_no_decay():
    foreign = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    with pytest.raises(ValueError, match="`peak_learning_rate` must be given for a `timescale`"):
        AdamW(foreign, timescale=50)
    with pytest.raises(ValueError, match="`timescale` must be None where `weight_decay` is given"):
        AdamW(0.1, 0.1, timescale=50)


def test_the_defaults():
    assert number(AdamW().weight_decay) == pytest.approx(0.004)
    assert number(SGDW().weight_decay) == pytest.approx(0.0005)


# The clock


@pytest.mark.parametrize("coupling", ["decoupled", "independent", "corrected", "l2"])
def test_the_clock_sums_the_shares(applied, coupling):
    rate, decay = Warmup(5, Cosine(0.2, 30, floor=0.02)), Linear(0.5, 0.1, 30)
    eta, lam = rate.values(20).astype("float64"), decay.values(20).astype("float64")
    shares = {
        "decoupled": eta * lam,
        "independent": eta / 0.2 * lam,
        "corrected": eta**2 / 0.2 * lam,
        "l2": eta * lam,
    }
    optimizer = AdamW(rate, decay, coupling=coupling)
    applied(optimizer, [np.ones(2, "float32")], [[np.zeros(2, "float32")]] * 20)
    assert number(optimizer.decay_clock) == pytest.approx(shares[coupling].sum(), rel=1e-5)


def test_the_clock_keeps_small_shares(applied):
    """2000 shares of 3e-7 after a sum of 8, where float32 counts in steps of 1e-6."""
    optimizer = SGDW(3e-4, 1e-3)
    optimizer.decay_clock.assign(8.0)
    applied(optimizer, [np.ones(1, "float32")], [[np.zeros(1, "float32")]] * 2000)
    assert number(optimizer.decay_clock) - 8 == pytest.approx(6e-4, rel=2e-3)


# Rates


@pytest.mark.parametrize("rate", [1, np.float32(0.5), np.float64(0.5), np.int64(1), 0.0])
def test_numbers_that_are_rates(rate):
    optimizer = AdamW(rate)
    assert number(optimizer.learning_rate) == rate
    assert AdamW.from_config(optimizer.get_config()).get_config() == optimizer.get_config()


@pytest.mark.parametrize("rate", [-0.5, math.nan, math.inf])
@pytest.mark.parametrize("make", [AdamW, SGDW])
def test_a_bad_rate_is_refused_and_cannot_be_set(make, rate):
    with pytest.raises(ValueError, match="`learning_rate` must be a finite float >= 0"):
        make(rate)
    optimizer = make(0.1)
    with pytest.raises(ValueError, match="`learning_rate` must be a finite float >= 0"):
        optimizer.learning_rate = rate
    optimizer.learning_rate = 0.2
    assert number(optimizer.learning_rate) == pytest.approx(0.2)


def test_an_update_refuses_what_it_cannot_do():
    for arguments, says in [
        ({"rule": "adam"}, "`rule` must be a rule"),
        ({"learning_rate": -1.0}, "`learning_rate` must be finite and >= 0"),
        ({"weight_decay": "0.1"}, "`weight_decay` must be finite and >= 0"),
        ({"clipnorm": 0}, "`clipnorm` must be > 0"),
        ({"average": 1.0}, r"`average` must be in \[0, 1\)"),
        ({"coupling": "l3"}, "`coupling` must be one of"),
        ({"coupling": "l2", "cautious": True}, "`cautious` must be False under coupling 'l2'"),
        ({"after": 3}, "`after` must be a function"),
        ({"peak_learning_rate": 0.0}, "`peak_learning_rate` must be finite and > 0"),
    ]:
        with pytest.raises(ValueError, match=says):
            Update(**arguments)
    with pytest.raises(ValueError, match="`peak_learning_rate` must be given for coupling"):
        Update(SGD(), Knob("rate"), coupling="corrected")
    assert Update(SGD(), Knob("r"), coupling="corrected", peak_learning_rate=0.1).peak == 0.1
    assert Update(SGD(), Constant(0.3)).peak == 0.3 and Update(SGD(), 0.2, clipnorm=math.inf)
    with pytest.raises(ValueError, match="`name` must be a string"):
        Knob("")


# Made anew


def test_from_the_config_of_kerass_own(rng, applied):
    stock = keras.optimizers.AdamW(0.01, weight_decay=0.2, beta_1=0.8, global_clipnorm=1.0)
    ours = AdamW.from_config(stock.get_config())
    assert number(ours.weight_decay) == pytest.approx(0.2) and ours.global_clipnorm == 1.0
    start = rng.normal(size=4).astype("float32")
    steps = [[rng.normal(size=4).astype("float32")] for _ in range(5)]
    # Of an epsilon of 1e-7, which Keras adds before the correction of the bias.
    np.testing.assert_allclose(
        applied(ours, [start], steps), applied(stock, [start], steps), rtol=1e-4
    )
    sgd = SGDW.from_config(keras.optimizers.SGD(0.1, momentum=0.9).get_config())
    assert number(sgd.weight_decay) == 0 and sgd.get_config()["momentum"] == 0.9
    with pytest.raises(ValueError, match="`amsgrad` must be False"):
        AdamW.from_config(keras.optimizers.AdamW(amsgrad=True).get_config())


@pytest.mark.parametrize("name", ["wdattn>AdamW", "wdattn>SGDW", "wdattn>Muon"])
def test_compiled_by_name(small_model, name):
    model = small_model()
    model.compile(name, loss="mse")
    assert type(model.optimizer).__name__ == name.removeprefix("wdattn>")


@pytest.mark.parametrize(
    "make",
    [
        lambda: AdamW(0.1, 0.2, decay_rules="kernels"),
        lambda: with_weight_decay(keras.optimizers.Lion)(0.1, weight_decay=0.2),
    ],
    ids=["AdamW", "Lion"],
)
def test_pickled(make):
    optimizer = make()
    again = pickle.loads(pickle.dumps(optimizer))
    assert type(again) is type(optimizer) and again.get_config() == optimizer.get_config()


# Embeddings, whose gradient TensorFlow hands over in slices


@pytest.mark.parametrize("clip", ["clipnorm", "global_clipnorm", "clipvalue"])
def test_clipping_sums_an_embeddings_gradient_first(clip):
    """One token twenty times: its gradient is one row, twenty times as long."""
    layer = keras.layers.Embedding(3, 4, name="tokens", embeddings_initializer="ones")
    model = keras.Sequential([keras.Input((20,), dtype="int32"), layer])
    model.compile(SGDW(1.0, 0.0, **{clip: 0.1}), loss=lambda y, p: ops.sum(p))
    model.train_on_batch(np.ones((1, 20), "int32"), np.zeros((1, 20, 4)))
    moved = 1 - model.get_weights()[0]
    wanted = 0.1 if clip == "clipvalue" else 0.1 / 2  # four entries of one length
    np.testing.assert_allclose(moved[1], wanted, rtol=1e-5)
    np.testing.assert_array_equal(moved[[0, 2]], 0)


def test_loss_scaling_with_an_embedding():
    layer = keras.layers.Embedding(3, 4, name="tokens", embeddings_initializer="ones")
    model = keras.Sequential([keras.Input((2,), dtype="int32"), layer])
    model.compile(SGDW(0.1, 0.0, loss_scale_factor=8.0), loss=lambda y, p: ops.sum(p))
    model.train_on_batch(np.ones((1, 2), "int32"), np.zeros((1, 2, 4)))
    np.testing.assert_allclose(model.get_weights()[0][1], 1 - 0.2, rtol=1e-6)


def test_the_variables_of_the_backend_itself():
    """On TensorFlow a `tf.Variable`, whose name is its path; elsewhere Keras' own."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        variables = [tf.Variable([1.0], name="a/kernel"), tf.Variable([1.0], name="a/bias")]
    else:
        variables = [keras.Variable([1.0], name=name) for name in ("kernel", "bias")]
    optimizer = AdamW(0.1, 0.5, decay_rules=[("bias$", 0.0, 1.0), (".*", 1.0, 1.0)])
    gradients = [ops.zeros(1), ops.zeros(1)]
    optimizer.apply_gradients(zip(gradients, variables, strict=True))
    found = [number(ops.convert_to_tensor(variable)[0]) for variable in variables]
    np.testing.assert_allclose(found, [0.95, 1.0], rtol=1e-6)


# Cautious


@pytest.mark.parametrize("make", [SGDW, with_weight_decay(keras.optimizers.SGD)])
def test_cautious_decay_waits_for_the_step(applied, make):
    """An entry decays where the gradient also moves it towards 0, or not at all."""
    start = np.array([1.0, -1.0, 1.0, -1.0, 0.5], "float32")
    gradient = np.array([0.1, -0.1, -0.1, 0.1, 0.0], "float32")
    optimizer = make(0.5, weight_decay=0.2, cautious=True)
    (found,) = applied(optimizer, [start], [[gradient]])
    decayed = np.array([1, 1, 0, 0, 1])
    np.testing.assert_allclose(found, start - 0.5 * gradient - 0.1 * decayed * start, rtol=1e-6)


# What the table shows


def test_the_table_shows_timescales_and_what_is_not_trained(small_model):
    model = small_model()
    model.get_layer("first").trainable = False
    optimizer = AdamW(Warmup(10, Constant(0.1)), 0.5, decay_rules=[
        ("first/kernel", 1.0, 1.0), ("bias|norm", 0.0, 1.0), (".*", 1.0, 2.0)])  # fmt: skip
    table = optimizer.decay_table(model)  # a rule of the frozen layer alone is no mistake here
    rows = {row.path: row for row in table}
    assert [row.trained for row in table] == [True] * 4 + [False] * 2
    assert rows["last/kernel"].timescale == pytest.approx(1 / (0.1 * 2 * 0.5))
    assert math.isinf(rows["last/bias"].timescale) and rows["last/kernel"].removed == 0
    assert rows["first/kernel"].rule == "not trained"
    assert "2 not trained" in table.summary and "τ in steps" in repr(table)
    assert "not trained" in table._repr_html_()


def test_lora_matrices_follow_their_kernel():
    attention = keras.layers.MultiHeadAttention(2, 3, name="attention")
    inputs = keras.Input((4, 6))
    model = keras.Model(inputs, keras.layers.Dense(2, name="mlp")(attention(inputs, inputs)))
    for layer in (attention._query_dense, model.get_layer("mlp")):
        layer.enable_lora(2)

    def decayed(rules):
        return {row.path for row in AdamW(0.1, 0.5, decay_rules=rules).decay_table(model)
                if row.trained and row.decay and "lora" in row.path}  # fmt: skip

    query = {"attention/query/lora_kernel_a", "attention/query/lora_kernel_b"}
    mlp = {"mlp/lora_kernel_a", "mlp/lora_kernel_b"}
    for rules, wanted in {
        "attention_only": query,
        "except_attention": mlp,
        "kernels": query | mlp,
        "gpt2": query | mlp,
        "no_bias_norm": query | mlp,
    }.items():
        assert decayed(rules) == wanted
    own = [("lora_kernel_a", 0.0, 1.0), ("query/kernel$", 1.0, 1.0), (".*", 0.0, 1.0)]
    assert decayed(own) == {"attention/query/lora_kernel_b"}


def test_a_rule_that_may_be_absent():
    rules = [("absent", 0.0, 1.0, "may be absent"), (".*", 1.0, 1.0)]
    optimizer = AdamW(0.1, 0.5, decay_rules=rules)
    optimizer.build([keras.Variable([1.0], name="kernel")])
    assert AdamW.from_config(optimizer.get_config()).decay_rules == list(map(list, rules))
    with pytest.raises(ValueError, match="a fourth entry 'may be absent' allows this"):
        AdamW(decay_rules=[rules[0][:3], rules[1]]).build([keras.Variable([1.0], name="kernel")])
    with pytest.raises(ValueError, match="the fourth entry of `decay_rules` must be"):
        AdamW(decay_rules=[("a", 1.0, 1.0, "maybe")])
