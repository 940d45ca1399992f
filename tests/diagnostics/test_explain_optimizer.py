"""What a stock optimizer really decays, held to what it then does; and each trap that is named."""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn.diagnostics import explain_optimizer
from wdattn.optimizers import AdamW


def model(dtype=None):
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(6, name="first", dtype=dtype)(inputs)
    hidden = keras.layers.LayerNormalization(name="norm")(hidden)
    return keras.Model(inputs, keras.layers.Dense(1, name="last")(hidden))


def excluding(*names, rate=0.1, decay=0.5, **kwargs):
    optimizer = keras.optimizers.AdamW(rate, decay, **kwargs)
    for call in names:
        optimizer.exclude_from_weight_decay(var_names=call)
    return optimizer


def said(report, words):
    return any(words in line for line in report.warnings)


@pytest.mark.parametrize(
    "names",
    [(), (["bias"],), (["bias", "gamma", "beta"],), (["first/bias"],), (["bias"], ["beta"])],
)
def test_the_table_is_what_happens(names):
    made, optimizer = model(), excluding(*names)
    report = explain_optimizer(optimizer, made)
    made.set_weights([np.ones_like(w) for w in made.get_weights()])
    made.compile(optimizer, loss=lambda y, p: 0 * ops.sum(p))
    made.fit(np.zeros((8, 4)), np.zeros((8, 1)), batch_size=8, verbose=0)
    left = [1 - float(w.ravel()[0]) for w in made.get_weights()]
    assert [row.removed for row in report.table] == pytest.approx(left, abs=1e-6)
    assert [row.path for row in report.table] == [v.path for v in made.trainable_variables]


def test_a_list_of_variables():
    made, optimizer = model(), excluding()
    optimizer.exclude_from_weight_decay(var_list=[made.trainable_variables[0]])
    table = explain_optimizer(optimizer, made).table
    assert [row.decay > 0 for row in table] == [False] + [True] * 5
    assert table[0].rule == "excluded by var_list"


def test_biases_and_norms():
    report = explain_optimizer(excluding(), model())
    assert said(report, "biases and gains of norms decay") and said(report, "norm/gamma")
    good = excluding(["bias", "gamma", "beta"])
    assert explain_optimizer(good, model()).warnings == ()


def test_a_pattern_that_matches_nothing():
    report = explain_optimizer(excluding(["bais"]), model())
    assert said(report, "'bais' matches nothing")
    report = explain_optimizer(excluding(["norm/gamma"]), model())
    there = keras.backend.backend() == "tensorflow"
    assert said(report, "in the paths of norm/gamma") != there


def test_only_the_last_call():
    report = explain_optimizer(excluding(["bias"], ["gamma"], ["beta"]), model())
    assert said(report, "only 'beta' is excluded, and bias, gamma decay")


def test_nothing_decays():
    assert said(explain_optimizer(keras.optimizers.Adam(0.1), model()), "nothing decays")
    assert said(explain_optimizer(AdamW(0.1, 0.0), model()), "nothing decays")


@pytest.mark.parametrize(("dtype", "bits"), [("bfloat16", 9), ("float16", 12)])
@pytest.mark.parametrize(("share", "lost"), [(0.75, True), (1.5, False)])
def test_the_share_that_a_type_rounds_away(dtype, bits, share, lost):
    """Half of the distance between 1 and the number below it, which is where rounding changes."""
    removed = share * 2.0**-bits
    one = keras.ops.cast(1.0, dtype)
    rounded = keras.ops.cast(keras.ops.cast(one, "float32") * (1 - removed), dtype)
    assert bool(rounded == one) == lost
    report = explain_optimizer(excluding(rate=1.0, decay=removed), model(dtype))
    assert said(report, "does nothing: first/kernel") == lost


@pytest.mark.parametrize(("decay", "lost"), [(0.1, True), (10.0, False)])
def test_a_decay_too_small_for_the_type(decay, lost):
    optimizer = excluding(rate=1e-3, decay=decay)
    report = explain_optimizer(optimizer, model("bfloat16"))
    assert said(report, "does nothing: first/kernel") == lost
    ours = AdamW(1e-3, decay, decay_rules="no_bias_norm")  # keeps what rounding leaves over
    assert explain_optimizer(ours, model("bfloat16")).warnings == ()


def test_several_optimizers():
    chosen = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1, global_clipnorm=1.0))
    chosen[".*kernel"] = excluding(rate=0.2, global_clipnorm=1.0)
    report = explain_optimizer(keras.optimizers.MultiOptimizer(chosen), model())
    assert [row.removed for row in report.table] == pytest.approx([0.1, 0, 0, 0, 0.1, 0])
    assert [row.rate for row in report.table][:2] == pytest.approx([0.2, 0.1])
    assert said(report, "the norm of each part alone")


def test_under_loss_scaling():
    scaled = keras.optimizers.LossScaleOptimizer(excluding(["bias"]))
    assert explain_optimizer(scaled, model()).table[1].rule == "excluded by 'bias'"


def test_ours():
    optimizer = AdamW(0.1, 0.5, decay_rules="no_bias_norm")
    report = explain_optimizer(optimizer, model())
    assert repr(report.table) == repr(optimizer.decay_table(model())) and report.warnings == ()
    assert said(explain_optimizer(AdamW(0.1, 0.5), model()), "biases and gains")


def test_printed():
    report = explain_optimizer(excluding(["<b>"]), model())
    assert repr(report).splitlines()[-1].startswith("! ")
    assert "&lt;b&gt;" in report._repr_html_() and "<ul>" in report._repr_html_()


def test_nothing_changes():
    """Asked before training or not, the optimizer does the same."""
    made, optimizer = model(), excluding(["bias"])
    before = {name: repr(value) for name, value in vars(optimizer).items()}
    weights = made.get_weights()
    explain_optimizer(optimizer, made)
    assert {name: repr(value) for name, value in vars(optimizer).items()} == before
    assert all(map(np.array_equal, weights, made.get_weights()))
    assert not optimizer.built


def test_bad_arguments():
    with pytest.raises(ValueError, match="`optimizer` must be a Keras optimizer"):
        explain_optimizer("adam", model())
    with pytest.raises(ValueError, match="`model` must be a built model"):
        explain_optimizer(excluding(), keras.Sequential([keras.layers.Dense(1)]))
