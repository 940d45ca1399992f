"""What Keras's own optimizers do (W1 to W8, P1, M1), and what ours do instead.

The first half of each test documents Keras 3.15; should a later version mend a trap, it fails, and
the sentence about it in our documentation has to go.
"""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn.optimizers import SGDW, AdamW
from wdattn.schedules import Step

BACKEND = keras.backend.backend()


def zero_loss(y_true, y_pred):
    return 0 * ops.sum(y_pred)


def shares(model, optimizer, callbacks=(), steps=1, before_fit=lambda optimizer: None):
    """Path to the share of each weight that training without gradients leaves."""
    model.set_weights([np.ones_like(w) for w in model.get_weights()])
    model.compile(optimizer, loss=zero_loss)
    before_fit(optimizer)
    x = np.zeros((8 * steps, *model.input_shape[1:]), "float32")
    y = np.zeros((8 * steps, 1), "float32")
    model.fit(x, y, batch_size=8, verbose=0, callbacks=list(callbacks))
    pairs = zip(model.trainable_variables, model.get_weights(), strict=True)
    return {v.path: float(w.ravel()[0]) for v, w in pairs}


def undecayed(found):
    return {path for path, share in found.items() if share == 1}


def test_w1_exclusion_after_build_is_ignored(small_model):
    def exclude_late(optimizer):
        optimizer.exclude_from_weight_decay(var_names=["bias"])

    model, optimizer = small_model(), keras.optimizers.AdamW(0.1, 0.5)
    found = shares(model, optimizer)
    exclude_late(optimizer)  # no error, though Keras's docstring promises one
    model.fit(np.zeros((8, 4), "float32"), np.zeros((8, 1), "float32"), batch_size=8, verbose=0)
    again = {v.path: float(w.ravel()[0]) for v, w in
             zip(model.trainable_variables, model.get_weights(), strict=True)}  # fmt: skip
    took_notice = again["first/bias"] == pytest.approx(found["first/bias"])
    assert took_notice == (BACKEND == "torch")
    with pytest.raises(TypeError, match="decay_rules"):
        exclude_late(AdamW())


def test_w2_exclusions_are_lost_on_save(small_model, tmp_path):
    optimizer = keras.optimizers.AdamW(0.1, 0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert undecayed(shares(small_model(), optimizer)) == {"first/bias", "last/bias"}
    again = keras.optimizers.AdamW.from_config(optimizer.get_config())
    assert undecayed(shares(small_model(), again)) == set()
    ours = AdamW(0.1, 0.5, decay_rules=[("bias", 0.0, 1.0), (".*", 1.0, 1.0)])
    again = AdamW.from_config(ours.get_config())
    assert undecayed(shares(small_model(), again)) == {"first/bias", "last/bias"}


def test_w3_patterns_see_the_name_here_and_the_path_there(small_model):
    optimizer = keras.optimizers.AdamW(0.1, 0.5)
    optimizer.exclude_from_weight_decay(var_names=["first/bias"])
    wanted = {"first/bias"} if BACKEND == "tensorflow" else set()
    assert undecayed(shares(small_model(), optimizer)) == wanted
    ours = AdamW(0.1, 0.5, decay_rules=[("first/bias", 0.0, 1.0), (".*", 1.0, 1.0)])
    assert undecayed(shares(small_model(), ours)) == {"first/bias"}


def test_w4_only_the_last_exclusion_counts(small_model):
    optimizer = keras.optimizers.AdamW(0.1, 0.5)
    for name in ("bias", "gamma", "beta"):
        optimizer.exclude_from_weight_decay(var_names=[name])
    assert undecayed(shares(small_model(), optimizer)) == {"norm/beta"}
    rules = [(name, 0.0, 1.0) for name in ("bias", "gamma", "beta")] + [(".*", 1.0, 1.0)]
    ours = shares(small_model(), AdamW(0.1, 0.5, decay_rules=rules))
    assert undecayed(ours) == {"first/bias", "last/bias", "norm/gamma", "norm/beta"}


def test_w5_a_schedule_raises(small_model):
    with pytest.raises((TypeError, ValueError)):  # another error on each backend
        shares(small_model(), keras.optimizers.AdamW(0.1, weight_decay=Step(0.5, 1)))
    found = shares(small_model(), AdamW(0.1, Step(0.5, 2)), steps=4)
    assert found["first/kernel"] == pytest.approx(0.95**2)


def test_w6_a_callback_is_ignored(small_model, at_batch):
    def change(model):
        model.optimizer.weight_decay = 2.0

    stock, ours = keras.optimizers.AdamW(0.1, 0.5), AdamW(0.1, 0.5)
    found = shares(small_model(), stock, [at_batch(0, change)], steps=2)
    wanted = 0.95 * 0.8 if BACKEND == "torch" else 0.95**2
    assert found["first/kernel"] == pytest.approx(wanted)
    found = shares(small_model(), ours, [at_batch(0, change)], steps=2)
    assert found["first/kernel"] == pytest.approx(0.95 * 0.8)


def test_w7_everything_decays(small_model):
    assert undecayed(shares(small_model(), keras.optimizers.AdamW(0.1, 0.5))) == set()
    ours = shares(small_model(), AdamW(0.1, 0.5, decay_rules="no_bias_norm"))
    assert undecayed(ours) == {"first/bias", "last/bias", "norm/gamma", "norm/beta"}


def test_w8_the_number_of_axes_does_not_tell_a_bias():
    attention = keras.layers.MultiHeadAttention(2, 3, name="attention")
    attention.build((None, 4, 6), (None, 4, 6))
    variables = attention.trainable_variables
    biases = [v for v in variables if v.path.endswith("bias")]
    assert sum(len(v.shape) == 2 for v in biases) == 3  # of query, key and value: (heads, width)
    optimizer = AdamW(0.1, 0.5, decay_rules="gpt2")
    optimizer.build(variables)
    for variable in variables:
        variable.assign(ops.ones(variable.shape))
    optimizer.apply([ops.zeros(v.shape) for v in variables], variables)
    for variable in variables:
        decayed = np.all(ops.convert_to_numpy(variable) < 1)
        assert decayed == variable.path.endswith("kernel")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_p1_a_small_decay_of_coarse_weights(dtype):
    """200 steps of ηλ = 1e-4: rounded away by Keras, kept in float32 until it counts by ours."""

    def after(optimizer):
        layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", dtype=dtype)
        model = keras.Sequential([keras.Input((2,), dtype=dtype), layer])
        model.compile(optimizer, loss=zero_loss)
        model.fit(np.zeros((200, 2)), np.zeros((200, 1)), batch_size=1, verbose=0)
        return float(ops.convert_to_numpy(ops.cast(layer.kernel, "float32"))[0, 0])

    assert after(keras.optimizers.AdamW(1e-3, 0.1)) == 1
    # Within a unit in the last place of a number just below 1.
    unit = {"bfloat16": 2**-8, "float16": 2**-11}[dtype]
    assert after(AdamW(1e-3, 0.1)) == pytest.approx((1 - 1e-4) ** 200, abs=unit)


def test_m1_the_global_norm_of_several_optimizers(applied):
    starts, gradients = [np.zeros(1, "float32")] * 2, [[np.ones(1, "float32") * 3] * 2]
    parts = [keras.optimizers.SGD(1.0, global_clipnorm=1.0) for _ in range(2)]
    several = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(parts[0], {"w1": parts[1]})
    )
    assert np.linalg.norm(applied(several, starts, gradients)) == pytest.approx(np.sqrt(2))
    rules = [("w1", 0.0, 1.0), (".*", 1.0, 1.0)]
    ours = SGDW(1.0, 0.1, global_clipnorm=1.0, decay_rules=rules)
    assert np.linalg.norm(applied(ours, starts, gradients)) == pytest.approx(1)


def test_keras_still_calls_what_we_hook_into(applied):
    """The methods behind `Hooks`: if Keras stops calling one, our decay is lost in silence."""
    called = []

    class Told(AdamW):
        def clipped(self, gradients, clip):
            called.append("clipped")
            return super().clipped(gradients, clip)

        def take_step(self, gradients, variables, learning_rate):
            called.append("take_step")
            return super().take_step(gradients, variables, learning_rate)

    optimizer = Told(0.1, 0.5)
    applied(optimizer, [np.ones(1, "float32")], [[np.zeros(1, "float32")]])
    assert called == ["clipped", "take_step"]
    assert int(ops.convert_to_numpy(optimizer.steps)) == 1
    assert len(optimizer.built_variables) == 1 and optimizer.rate_source is optimizer.learning_rate
    assert optimizer.index_of(optimizer.built_variables[0]) == 0
