import functools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from wdattn.layers import FeedForward, MultiHeadAttention, RotaryEmbedding, TransformerBlock

ATTENTION = functools.partial(MultiHeadAttention, 2, 4)


def numpy(x):
    return ops.convert_to_numpy(x)


def randomised(block, rng, x):
    block(x)
    block.set_weights([rng.normal(scale=0.5, size=w.shape) for w in block.get_weights()])
    return block


@pytest.mark.parametrize("normalization", ["layer", "rms"])
@pytest.mark.parametrize("norm_first", [True, False])
def test_equals_its_formula_in_numpy(rng, norm_first, normalization):
    x = rng.normal(size=(2, 5, 6))
    block = TransformerBlock(
        ATTENTION,
        functools.partial(FeedForward, 8, "relu"),
        normalization,
        norm_first,
        dtype="float64",
        name="block",
    )
    randomised(block, rng, x)
    own = {v.path.removeprefix("block/"): numpy(v) for v in block.weights}

    def norm(name, x):
        if normalization == "rms":
            return own[f"{name}/scale"] * x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
        centred = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return own[f"{name}/gamma"] * centred + own[f"{name}/beta"]

    def attention(x):
        def project(name):
            kernel, bias = own[f"attention/{name}/kernel"], own[f"attention/{name}/bias"]
            return np.einsum("btd,dhk->bhtk", x, kernel) + bias[:, None]

        scores = np.exp(project("query") @ project("key").swapaxes(2, 3) / 2)
        found = scores / scores.sum(-1, keepdims=True) @ project("value")
        kernel = own["attention/attention_output/kernel"]
        return np.einsum("bhtk,hkd->btd", found, kernel) + own["attention/attention_output/bias"]

    def feed_forward(x):
        for name, function in (("hidden", lambda x: np.maximum(x, 0)), ("output", lambda x: x)):
            kernel, bias = (own[f"feed_forward/{name}/{part}"] for part in ("kernel", "bias"))
            x = function(x @ kernel + bias)
        return x

    wanted = x
    for half, name in ((attention, "attention_norm"), (feed_forward, "feed_forward_norm")):
        if norm_first:
            wanted = wanted + half(norm(name, wanted))
        else:
            wanted = norm(name, wanted + half(wanted))
    np.testing.assert_allclose(numpy(block(x)), wanted, rtol=1e-6, atol=1e-6)


def test_causal_blocks_do_not_look_ahead(rng):
    x = rng.normal(size=(2, 5, 6)).astype("float32")
    block = randomised(TransformerBlock(ATTENTION), rng, x)
    other = x.copy()
    other[:, 3:] = rng.normal(size=(2, 2, 6))
    one, two = (numpy(block(given, use_causal_mask=True)) for given in (x, other))
    np.testing.assert_allclose(one[:, :3], two[:, :3], rtol=0, atol=1e-5)
    assert np.abs(numpy(block(x)) - numpy(block(other)))[:, :3].max() > 1e-3


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("how", ["implicit", "mask", "attention_mask", "both"])
def test_padding_is_not_looked_at(rng, norm_first, how):
    tokens = np.array([[3, 5, 2, 0, 0]])
    x = keras.layers.Embedding(9, 6, mask_zero=True)(tokens)
    bare = ops.convert_to_tensor(numpy(x))
    block = randomised(TransformerBlock(ATTENTION, norm_first=norm_first), rng, bare)
    mask = tokens > 0
    given, options = {
        "implicit": (x, {}),
        "mask": (bare, {"mask": mask}),
        "attention_mask": (bare, {"attention_mask": mask[:, None, :]}),
        "both": (x, {"attention_mask": np.ones((1, 5, 5), bool)}),
    }[how]
    found, wanted = block(given, **options), block(bare[:, :3])
    np.testing.assert_allclose(numpy(found)[:, :3], numpy(wanted), rtol=0, atol=1e-5)
    if how != "attention_mask":
        assert numpy(found._keras_mask).tolist() == mask.tolist()


def test_scores_on_request(rng):
    x = rng.normal(size=(2, 5, 6)).astype("float32")
    block = randomised(TransformerBlock(ATTENTION), rng, x)
    output, scores = block(x, return_attention_scores=True)
    np.testing.assert_allclose(numpy(output), numpy(block(x)), rtol=0, atol=1e-5)
    np.testing.assert_allclose(numpy(scores).sum(-1), np.ones((2, 2, 5)), rtol=0, atol=1e-5)
    symbolic = block(keras.Input((None, 6)), return_attention_scores=True)
    assert [one.shape for one in symbolic] == [(None, None, 6), (None, 2, None, None)]


def test_a_factory_serves_many_blocks_and_a_layer_shares_its_weights():
    first, second = (TransformerBlock(ATTENTION, name=f"block_{i}") for i in range(2))
    for block in (first, second):
        block.build((None, 5, 6))
    assert first.attention is not second.attention
    assert first.attention.weights[0].path == "block_0/attention/query/kernel"
    layer = MultiHeadAttention(2, 4, name="shared")
    first, second = (TransformerBlock(layer, name=f"block_{i}") for i in range(2))
    for block in (first, second):
        block.build((None, 5, 6))
    assert first.attention is second.attention is layer


def test_takes_keras_own_attention(rng):
    x = rng.normal(size=(2, 5, 6)).astype("float32")
    theirs = TransformerBlock(functools.partial(keras.layers.MultiHeadAttention, 2, 4), name="a")
    ours = TransformerBlock(ATTENTION, name="a")
    randomised(theirs, rng, x), ours(x)
    ours.set_weights(theirs.get_weights())
    wanted = numpy(theirs(x, use_causal_mask=True))
    np.testing.assert_allclose(numpy(ours(x, use_causal_mask=True)), wanted, rtol=0, atol=1e-5)


def test_dropout_acts_on_both_halves_in_training_alone(rng):
    x = rng.normal(size=(2, 5, 6)).astype("float32")
    block = randomised(TransformerBlock(ATTENTION, dropout=0.5, seed=1), rng, x)
    still = numpy(block(x))
    np.testing.assert_array_equal(numpy(block(x, training=False)), still)
    assert np.abs(numpy(block(x, training=True)) - still).max() > 0.01
    seeds = {numpy(v).tobytes() for v in block.variables if "seed" in v.path}
    assert len(seeds) == 2  # one seed for both would drop the same places


def test_second_derivatives_are_right(rng, second_derivative):
    x = rng.normal(size=(2, 4, 6))
    attention = functools.partial(ATTENTION, query_key=RotaryEmbedding)
    feed_forward = functools.partial(FeedForward, 8, "swiglu")
    block = TransformerBlock(attention, feed_forward, dtype="float64")
    randomised(block, rng, x)

    def loss():
        return ops.sum(block(x, use_causal_mask=True) ** 3)

    found, wanted = second_derivative(loss, block.trainable_variables)
    np.testing.assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("shape", [(2, 6), (2, 3, 5, 6)], ids=str)
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match="`inputs` must be"):
        TransformerBlock(ATTENTION)(np.ones(shape, "float32"))


ON_TWO_DEVICES = """
import functools
import keras
import numpy as np
from wdattn.layers import MultiHeadAttention, RotaryEmbedding, TransformerBlock

devices = keras.distribution.list_devices()
assert len(devices) == 2, devices
attention = functools.partial(MultiHeadAttention, 2, 4, query_key=RotaryEmbedding)
x = np.random.default_rng(0).normal(size=(8, 5, 6)).astype("float32")


def trained():
    inputs = keras.Input((5, 6))
    block = TransformerBlock(attention, name="block")
    model = keras.Model(inputs, block(inputs, use_causal_mask=True))
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(scale=0.3, size=w.shape) for w in model.get_weights()])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    model.fit(x, x[:, ::-1], batch_size=8, epochs=2, shuffle=False, verbose=0)
    return model.get_weights()


alone = trained()
keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
for one, other in zip(alone, trained(), strict=True):
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
"""


@pytest.mark.slow
def test_trains_alike_on_two_devices():
    """Keras' data parallelism is JAX' alone."""
    if keras.backend.backend() != "jax":
        pytest.skip("JAX only")
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", ON_TWO_DEVICES],
        env={**os.environ, **flags},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_lora_trains_the_attention_alone(rng):
    x = rng.normal(size=(2, 5, 6)).astype("float32")
    block = TransformerBlock(ATTENTION, name="block")
    before = numpy(block(x))
    block.enable_lora(2, projections=("query", "value"))
    np.testing.assert_array_equal(numpy(block(x)), before)  # the second matrix starts as 0
    names = ("bias", "lora_kernel_a", "lora_kernel_b")
    wanted = {f"block/attention/{part}/{name}" for part in ("query", "value") for name in names}
    assert {v.path for v in block.trainable_variables} == wanted


def test_lora_needs_an_attention_that_has_it(rng):
    theirs = functools.partial(keras.layers.MultiHeadAttention, 2, 4)
    block = TransformerBlock(theirs)
    block(rng.normal(size=(2, 5, 6)).astype("float32"))
    with pytest.raises(ValueError, match="`attention` must be a layer with `enable_lora`"):
        block.enable_lora(2)


@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method:UserWarning")
def test_quantized(rng):
    x = rng.normal(size=(3, 5, 8)).astype("float32")
    inputs = keras.Input((5, 8))
    model = keras.Model(inputs, TransformerBlock(ATTENTION)(inputs))
    model.set_weights([rng.normal(scale=0.3, size=w.shape) for w in model.get_weights()])
    before = model.predict(x, verbose=0)
    model.quantize("int8")
    error = np.abs(model.predict(x, verbose=0) - before).max() / np.abs(before).max()
    assert 0 < error < 0.05  # some roundings of 1/127


@pytest.mark.parametrize("argument", ["use_causal_mask", "return_attention_scores"])
def test_flags_of_a_call_are_flags(argument):
    x = np.ones((1, 3, 4), "float32")
    with pytest.raises(ValueError, match=f"`{argument}` must be True or False, got 'no'"):
        TransformerBlock(ATTENTION)(x, **{argument: "no"})
