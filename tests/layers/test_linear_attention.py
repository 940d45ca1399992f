import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from wdattn.initializers import Normal
from wdattn.layers import LinearAttention

FORMS = ["parallel", "chunked", "recurrent"]


def literal(weights, query, value, key=None, mask=True, causal=False, normalize=True):
    """Scores and all, from Keras' eight weights; `mask` is broadcastable to the scores."""
    key = value if key is None else key
    q_kernel, q_bias, k_kernel, k_bias, v_kernel, v_bias, o_kernel, o_bias = weights
    query = np.einsum("btd,dhk->bthk", query, q_kernel) + q_bias
    key = np.einsum("bsd,dhk->bshk", key, k_kernel) + k_bias
    value = np.einsum("bsd,dhv->bshv", value, v_kernel) + v_bias
    query, key = (np.where(x > 0, x + 1, np.exp(x)) for x in (query, key))
    scores = np.einsum("bthk,bshk->bhts", query, key) * mask
    scores = np.tril(scores) if causal else scores
    if normalize:
        total = scores.sum(-1, keepdims=True)
        scores = scores / np.where(total == 0, 1, total)
    return np.einsum("bhts,bshv,hvo->bto", scores, value, o_kernel) + o_bias, scores


def built(rng, *shapes, heads=2, **kwargs):
    layer = LinearAttention(heads, 3, dtype="float64", **kwargs)
    layer.build(*shapes)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    return layer


def numpy(x):
    return ops.convert_to_numpy(x)


@pytest.mark.parametrize(
    "kwargs", [{}, {"value_dim": 5, "use_bias": False}, {"output_shape": (4, 2)}]
)
def test_weights_are_those_of_keras(kwargs):
    ours = LinearAttention(2, 3, name="attention", **kwargs)
    keras_own = keras.layers.MultiHeadAttention(2, 3, name="attention", **kwargs)
    for layer in (ours, keras_own):
        layer.build((None, None, 6), (None, 9, 7), (None, 9, 8))
    described = [[(w.path, tuple(w.shape)) for w in x.weights] for x in (ours, keras_own)]
    assert described[0] == described[1]
    ours.set_weights(keras_own.get_weights())
    for shapes in (((2, 4, 6), (2, 9, 7)), ((2, 4, 6), (2, 9, 7), (2, 9, 8))):
        assert ours.compute_output_shape(*shapes) == keras_own.compute_output_shape(*shapes)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_equals_the_literal_formula(rng, form, causal, normalize):
    query, value, key = (rng.normal(size=(2, n, d)) for n, d in ((5, 6), (7, 4), (7, 8)))
    shapes = query.shape, value.shape, key.shape
    layer = built(rng, *shapes, value_dim=4, form=form, normalize=normalize, chunk_size=3)
    wanted = literal(layer.get_weights(), query, value, key, causal=causal, normalize=normalize)[0]
    found = numpy(layer(query, value, key, use_causal_mask=causal))
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_masks_given_or_carried(rng, form):
    """As arguments, and as the Keras masks of the inputs; keys that are left out may change."""
    query, value = rng.normal(size=(2, 5, 6)), rng.normal(size=(2, 7, 6))
    asked, seen, also = (rng.random((2, n)) > 0.4 for n in (5, 7, 7))
    seen[:, 0] = also[:, 0] = True
    layer = built(rng, query.shape, value.shape, form=form, chunk_size=3)
    mask = asked[:, None, :, None] & (seen & also)[:, None, None, :]
    wanted = literal(layer.get_weights(), query, value, mask=mask)[0]
    given = {"query_mask": asked, "value_mask": seen}
    found = numpy(layer(query, value, key_mask=also, **given))
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-10)
    value[~(seen & also)] += 1
    assert np.array_equal(numpy(layer(query, value, key_mask=also, **given)), found)
    given["attention_mask"] = also[:, None]
    np.testing.assert_allclose(numpy(layer(query, value, **given)), found, rtol=1e-12)

    carried = [
        keras.layers.Masking(dtype="float64")(x * m[..., None])
        for x, m in ((query, asked), (value, seen))
    ]
    outputs = layer(*carried)
    mask = asked[:, None, :, None] & seen[:, None, None, :]
    np.testing.assert_allclose(
        numpy(outputs), literal(layer.get_weights(), *map(numpy, carried), mask=mask)[0], rtol=1e-9
    )
    assert np.array_equal(numpy(outputs._keras_mask), asked)


@pytest.mark.parametrize("shape", [(5, 7), (2, 5, 7), (2, 2, 5, 7), (2, 2, 1, 7)])
def test_a_mask_of_pairs_is_honoured_or_refused(rng, shape):
    query, value = rng.normal(size=(2, 5, 6)), rng.normal(size=(2, 7, 6))
    mask = rng.random(shape) > 0.3
    whole = mask if mask.ndim == 4 else mask[..., None, :, :]
    layer = built(rng, query.shape, value.shape, form="parallel")
    wanted, scores = literal(layer.get_weights(), query, value, mask=whole, causal=True)
    settings = {"attention_mask": mask, "use_causal_mask": True}
    np.testing.assert_allclose(numpy(layer(query, value, **settings)), wanted, rtol=1e-9)
    for form in FORMS[1:]:
        layer.form = form
        with pytest.raises(ValueError, match="`attention_mask` must be the same for all queries"):
            layer(query, value, **settings)
        found = layer(query, value, return_attention_scores=True, **settings)
        for one, other in zip(found, (wanted, scores), strict=True):
            np.testing.assert_allclose(numpy(one), other, rtol=1e-9, atol=1e-12)


def test_scores_of_each_form(rng):
    x = rng.normal(size=(2, 5, 6))
    layer = built(rng, x.shape, x.shape)
    wanted = literal(layer.get_weights(), x, x, causal=True)
    settings = {"return_attention_scores": True, "use_causal_mask": True}
    for one, other in zip(layer(x, x, **settings), wanted, strict=True):
        np.testing.assert_allclose(numpy(one), other, rtol=1e-9, atol=1e-12)
    inputs = keras.Input((None, 6)), keras.Input((9, 6))
    outputs, scores = layer(*inputs, return_attention_scores=True)
    assert outputs.shape == (None, None, 6) and scores.shape == (None, 2, None, 9)


@pytest.mark.parametrize("form", FORMS)
def test_dropout_drops_the_scores_of_a_key(form):
    """Equal scores and values 1, 2, 4, ...: the binary digits of an output are the keys it kept."""
    layer = LinearAttention(1, 1, dropout=0.25, use_bias=False, form=form, seed=3, dtype="float64")
    x = np.broadcast_to(2.0 ** np.arange(20)[:, None], (8, 20, 1))
    layer.build(x.shape, x.shape)
    layer.set_weights([np.full(w.shape, i >= 2.0) for i, w in enumerate(layer.weights)])
    np.testing.assert_allclose(numpy(layer(x, x)), x.mean(1, keepdims=True) + 0 * x)
    found = numpy(layer(x, x, training=True))[..., 0] * 20 * 0.75
    kept = np.rint(found).astype(int)
    np.testing.assert_allclose(found, kept, rtol=1e-12)
    assert (kept == kept[:, :1]).all()  # all queries lose the same keys
    share = np.mean([int(n).bit_count() for n in kept[:, 0]]) / 20
    assert abs(share - 0.75) < 3 * np.sqrt(0.25 * 0.75 / 160)
    assert len(set(kept[:, 0])) > 4  # each row its own


@keras.saving.register_keras_serializable("linear attention test")
class Scaled(keras.layers.Layer):
    """Queries times a weight, keys minus 1."""

    def build(self, query_shape, key_shape):
        self.scale = self.add_weight(name="scale", shape=query_shape[2:], initializer="ones")

    def call(self, query, key):
        return query * self.scale, key - 1


def test_query_key_changes_projected_queries_and_keys(rng, tmp_path):
    x = rng.normal(size=(2, 5, 6)).astype("float32")
    inputs = keras.Input((None, 6))
    layer = LinearAttention(2, 3, query_key=Scaled(name="scaled"), name="attention")
    model = keras.Model(inputs, layer(inputs, inputs))
    weights = {w.path: rng.normal(size=w.shape) for w in layer.weights}
    layer.set_weights(list(weights.values()))
    assert "attention/scaled/scale" in weights
    scale = weights.pop("attention/scaled/scale")
    weights["attention/query/kernel"] = weights["attention/query/kernel"] * scale
    weights["attention/query/bias"] = weights["attention/query/bias"] * scale
    weights["attention/key/bias"] = weights["attention/key/bias"] - 1
    wanted = literal(weights.values(), x, x)[0]
    model.save(tmp_path / "model.keras")
    for made in (model, keras.saving.load_model(tmp_path / "model.keras")):
        # float32, chains of three products of up to 8 terms.
        np.testing.assert_allclose(made.predict(x, verbose=0), wanted, rtol=1e-4, atol=1e-4)


def test_each_kernel_has_a_start_of_its_own():
    def start(**kwargs):
        layer = LinearAttention(2, 3, name="attention", **kwargs)
        layer.build((None, 5, 6), (None, 5, 6))
        return [numpy(weight) for weight in layer.weights if "kernel" in weight.path]

    for kwargs in ({}, {"kernel_initializer": keras.initializers.HeNormal()}):
        assert len({kernel.tobytes() for kernel in start(**kwargs)}) == 4
    seeded = start(kernel_initializer=Normal(0.1, seed=0))
    assert len({kernel.tobytes() for kernel in seeded}) == 4
    again = start(kernel_initializer=Normal(0.1, seed=0))
    assert all(map(np.array_equal, seeded, again))
    wanted = Normal(0.1, seed=0).at("attention", "query", "kernel")((6, 2, 3), "float32")
    assert np.array_equal(seeded[0], numpy(wanted))


def test_takes_the_place_of_keras_own(rng):
    """A masked encoder, one line changed: builds, trains, and its padding changes nothing."""
    tokens = rng.integers(1, 20, size=(8, 6))
    tokens[:, 4:] = 0
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(20, 8, mask_zero=True)(inputs)
    y = LinearAttention(num_heads=2, key_dim=4, dropout=0.1)(x, x, use_causal_mask=True)
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Add()([x, y]))
    model = keras.Model(inputs, pooled)
    model.compile("adam", "mse")
    history = model.fit(tokens, np.ones((8, 8)), epochs=4, verbose=0).history["loss"]
    assert history[-1] < history[0]
    short, long = (model.predict(x, verbose=0) for x in (tokens[:, :4], tokens))
    np.testing.assert_allclose(short, long, rtol=1e-5, atol=1e-6)  # float32 rounding


def test_bad_inputs(rng):
    layer = LinearAttention(2, 3)
    for shapes, name in (
        (((2, 5), (2, 5, 6)), "query"),
        (((2, 5, 6), (2, 5, 4, 6)), "value"),
        (((2, 5, 6), (2, 5, 6), (2, 5, None)), "key"),
        (((2, 5, 6), (2, 5, 6), (2, 4, 6)), "key"),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must"):
            layer.build(*shapes)
    with pytest.raises(ValueError, match="`attention_mask` must be"):
        layer(np.ones((2, 5, 6)), np.ones((2, 5, 6)), attention_mask=np.ones(5))


DISTRIBUTED = """
import keras, numpy as np
from wdattn.initializers import Normal
from wdattn.layers import LinearAttention

def train():
    inputs = keras.Input((12, 8))
    start = Normal(0.3, seed=0)
    attention = LinearAttention(2, 4, kernel_initializer=start, chunk_size=5, name="attention")
    model = keras.Model(inputs, attention(inputs, inputs, use_causal_mask=True))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = np.random.default_rng(0).normal(size=(8, 12, 8)).astype("float32")
    model.fit(x, x[:, ::-1], batch_size=8, epochs=3, verbose=0)
    return model.get_weights(), attention.weights[0].value.sharding

single, _ = train()
keras.distribution.set_distribution(keras.distribution.DataParallel())
both, sharding = train()
assert len(sharding.device_set) == 2, sharding
# float32, three steps; each device sums half of the batch.
for one, other in zip(single, both, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
print("equal")
"""


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="two CPU devices are JAX's")
def test_data_parallel_on_two_devices():
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DISTRIBUTED],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "equal\n", done.stderr


def test_a_config_of_keras_makes_ours(rng):
    theirs = keras.layers.MultiHeadAttention(2, 3, dropout=0.1, output_shape=4, name="attention")
    theirs.build((None, 5, 6), (None, 5, 6))
    ours = LinearAttention.from_config(theirs.get_config())
    assert (ours.num_heads, ours.key_dim, ours.dropout, ours.name) == (2, 3, 0.1, "attention")
    for argument, value in (("use_gate", True), ("sliding_window", 3), ("attention_axes", (2,))):
        with pytest.raises(ValueError, match=f"`{argument}` must be .* here, got"):
            LinearAttention.from_config(theirs.get_config() | {argument: value})


def test_lora_trains_beside_frozen_kernels(rng):
    x = rng.normal(size=(2, 5, 6)).astype("float32")
    layer = LinearAttention(2, 3, name="a")
    before = numpy(layer(x, x))
    layer.enable_lora(2, projections=("value",))
    np.testing.assert_array_equal(numpy(layer(x, x)), before)  # the second matrix starts as 0
    trained = {v.path for v in layer.trainable_variables}
    assert trained == {f"a/value/{name}" for name in ("bias", "lora_kernel_a", "lora_kernel_b")}


@pytest.mark.parametrize("argument", ["use_causal_mask", "return_attention_scores"])
def test_flags_of_a_call_are_flags(argument):
    x = np.ones((1, 3, 4), "float32")
    with pytest.raises(ValueError, match=f"`{argument}` must be True or False, got 'no'"):
        LinearAttention(1, 2)(x, x, **{argument: "no"})
