"""Each kind of attention: its factors give the outputs that the layer itself gives."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops

from wdattn import layers as ours
from wdattn import models
from wdattn.diagnostics import attention_layers, iterate_attention_layers
from wdattn.diagnostics.attention_layers import SIGNATURES
from wdattn.spectra import rows_of

WIDTH, TOKENS = 8, 5


def filled(layer, rng):
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    return layer


def attend(factors, query, key, bias=0.0):
    """Softmax attention from the factors alone, one head after another, in float64."""
    b_q, b_k, b_v = (
        np.zeros((count, 1)) if bias_of is None else bias_of
        for count, bias_of in ((factors.heads, factors.query_bias),
                               (factors.groups, factors.key_bias),
                               (factors.groups, factors.value_bias))
    )  # fmt: skip
    result = np.zeros((len(query), factors.output.shape[1])) + bias
    for head in range(factors.heads):
        group = head * factors.groups // factors.heads
        q = query @ factors.query[head] + b_q[head]
        k = key @ factors.key[group] + b_k[group]
        v = key @ factors.value[group] + b_v[group]
        scores = q @ k.T / np.sqrt(q.shape[1])
        weights = np.exp(scores - scores.max(1, keepdims=True))
        result += weights / weights.sum(1, keepdims=True) @ v @ factors.output[head].T
    return result


def called(layer, *inputs):
    return ops.convert_to_numpy(layer(*[x[None] for x in inputs]))[0]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("value_dim", [None, 3])
@pytest.mark.parametrize("kind", [layers.MultiHeadAttention, ours.MultiHeadAttention])
def test_multi_head_attention(rng, kind, bias, value_dim):
    layer = kind(2, 4, value_dim, use_bias=bias, name="mha")
    query, key = rng.normal(size=(TOKENS, WIDTH)), rng.normal(size=(7, 6))
    layer.build((1, TOKENS, WIDTH), (1, 7, 6))
    (factors,) = attention_layers(filled(layer, rng))
    assert factors.heads == factors.groups == 2 and factors.rotary is None
    assert factors.query.shape == (2, WIDTH, 4) and factors.key.shape == (2, 6, 4)
    assert factors.value.shape == (2, 6, value_dim or 4) and factors.query.dtype == "float64"
    assert (factors.query_bias is None) != bias
    output_bias = layer.get_weights()[-1] if bias else 0
    # The layer computes in float32. Asked for the scores too, Keras takes its own formula: JAX's
    # refuses values of another width.
    output, _ = layer(query[None], key[None], return_attention_scores=True)
    expected = attend(factors, query, key, output_bias)
    np.testing.assert_allclose(ops.convert_to_numpy(output)[0], expected, rtol=2e-4, atol=2e-4)


def test_grouped_query_attention(rng):
    layer = layers.GroupQueryAttention(4, 6, 2)
    x = rng.normal(size=(TOKENS, WIDTH))
    layer.build((1, TOKENS, WIDTH), (1, TOKENS, WIDTH))
    (factors,) = attention_layers(filled(layer, rng))
    assert (factors.heads, factors.groups) == (6, 2)
    expected = attend(factors, x, x, layer.get_weights()[-1])
    np.testing.assert_allclose(called(layer, x, x), expected, rtol=2e-4, atol=2e-4)


class Projections(layers.Layer):
    """Attention with the names and kernels of other models, as plain `Dense` layers."""

    def __init__(self, names, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = 2
        self.parts = [layers.Dense(WIDTH, name=name) for name in names]

    def build(self, input_shape):
        for part in self.parts:
            part.build(input_shape)

    def call(self, x):
        q, k, v = (ops.reshape(part(x), (TOKENS, 2, -1)) for part in self.parts[:3])
        weights = ops.softmax(ops.einsum("qhd,khd->hqk", q, k) / np.sqrt(WIDTH / 2))
        return self.parts[3](
            ops.reshape(ops.einsum("hqk,khd->qhd", weights, v), (1, TOKENS, WIDTH))
        )


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda names: names.output)
def test_separate_projections_by_their_names(rng, signature):
    layer = Projections(list(vars(signature).values()))
    x = rng.normal(size=(TOKENS, WIDTH)).astype("float32")
    layer.build((1, TOKENS, WIDTH))
    (factors,) = attention_layers(filled(layer, rng))
    expected = attend(factors, x, x, layer.get_weights()[-1])
    np.testing.assert_allclose(called(layer, x), expected, rtol=2e-4, atol=2e-4)


def test_a_kernel_with_its_axes_in_another_order(rng):
    class Transposed(layers.Layer):  # as Gemma keeps them
        def __init__(self):
            super().__init__(name="transposed")
            shapes = {"query": ("btd,ndh->btnh", 2), "key": ("bsd,kdh->bskh", 1)}
            shapes["value"] = shapes["key"]
            for name, (equation, heads) in shapes.items():
                part = layers.EinsumDense(equation, (None, heads, 3), name=name)
                setattr(self, f"{name}_dense", part)
            self.output_dense = layers.EinsumDense(
                "btnh,nhd->btd", (None, 4), name="attention_output"
            )

        def build(self, shape):
            for part in (self.query_dense, self.key_dense, self.value_dense):
                part.build(shape)
            self.output_dense.build((None, None, 2, 3))

    layer = Transposed()
    layer.build((None, None, 4))
    query, key, value, output = filled(layer, rng).get_weights()
    (factors,) = attention_layers(layer)
    np.testing.assert_array_equal(factors.query, query)
    np.testing.assert_array_equal(factors.key, key)
    np.testing.assert_array_equal(factors.value, value)
    np.testing.assert_array_equal(factors.output, output.transpose(0, 2, 1))


class RotaryEmbedding(layers.Layer):
    """Has the name by which a rotary embedding is known."""


class Rotated(Projections):
    def __init__(self, **kwargs):
        super().__init__(["query", "key", "value", "attention_output"], **kwargs)
        self.rotation = RotaryEmbedding()
        self.norm = layers.LayerNormalization(name="query_norm")

    def build(self, shape):
        super().build(shape)
        self.norm.build(shape)


def test_a_rotary_embedding_and_normalised_queries_are_seen():
    layer = Rotated()
    layer.build((1, TOKENS, WIDTH))
    (factors,) = attention_layers(layer)
    assert factors.rotary.tolist() == [[0, 2], [1, 3]] and factors.query_key_norm
    layer.rotary_dim = 2  # the first units alone
    assert attention_layers(layer)[0].rotary.tolist() == [[0, 1]]
    layer.use_rope = False
    assert attention_layers(layer)[0].rotary is None


def test_our_rotary_embedding_and_normalised_queries_are_seen(rng):
    layer = ours.MultiHeadAttention(
        2, 4, query_key=[ours.QueryKeyNormalization, ours.RotaryEmbedding], name="mha"
    )
    layer.build((1, TOKENS, WIDTH), (1, TOKENS, WIDTH))
    (factors,) = attention_layers(layer)
    assert factors.rotary.tolist() == [[0, 2], [1, 3]] and factors.query_key_norm
    opened = layer.factors()
    for name in ("query", "key", "value", "output"):
        np.testing.assert_array_equal(
            getattr(factors, name), ops.convert_to_numpy(getattr(opened, name))
        )


def small_model(**options):
    inputs = keras.Input((TOKENS, WIDTH), **options)
    x = layers.MultiHeadAttention(2, 4, dropout=0.5, name="first", **options)(inputs, inputs)
    inner = keras.Input((TOKENS, WIDTH), **options)
    y = layers.MultiHeadAttention(2, 3, name="inside", **options)(inner, inner)
    nested = keras.Model(inner, layers.BatchNormalization(**options)(y), name="nested")
    return keras.Model(inputs, layers.Dense(1, **options)(nested(nested(x))), name="whole")


def test_nested_models_are_searched_and_a_shared_layer_is_found_once():
    read = attention_layers(small_model())
    assert [factors.name for factors in read] == ["first", "inside"]
    assert [factors.query.shape for factors in read] == [(2, WIDTH, 4), (2, WIDTH, 3)]
    assert attention_layers(keras.Sequential([keras.Input((3,)), layers.Dense(2)])) == []


def test_one_layer_alone():
    model = small_model()
    (one,) = iterate_attention_layers(model, layer=1)
    assert one.name == "inside"
    with pytest.raises(ValueError, match="`layer` must be .* 0 to 1 for 'whole', got 2"):
        next(iterate_attention_layers(model, layer=2))


def test_our_merged_attention_is_found(rng):
    # The paper's model, its layers whole and as blocks: the outputs come from the products alone.
    for parametrization in ("full", "block"):
        model = models.LinearTransformer(2, 3, parametrization, dtype="float64")
        model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
        layers_read = attention_layers(model)
        assert [layer.name.split("/")[-1] for layer in layers_read] == [
            "attention_0",
            "attention_1",
        ]
        prompt = rng.normal(size=(5, 4))
        tokens = prompt.copy()
        for layer in layers_read:
            scores = tokens @ layer.key_query[0].T @ tokens.T  # W_K^T W_Q from both sides
            tokens = tokens + scores[:, :-1] @ tokens[:-1] @ layer.value_output[0].T / 4
        told = ops.convert_to_numpy(model(prompt[None]))
        np.testing.assert_allclose(told, [[-tokens[-1, -1]]], rtol=1e-10)
        assert all(row["merged"] for row in rows_of(layers_read))


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_a_quantized_model_is_decoded(rng, mode):
    model = small_model()
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
    before = attention_layers(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the layers that cannot be quantized
        model.quantize(mode)
    largest = {"int8": 127, "int4": 7, "float8": np.inf}[mode]
    for old, new in zip(before, attention_layers(model), strict=True):
        for part in ("query", "key", "value", "output"):
            entry = np.abs(getattr(old, part)).max()
            # A code is the nearest of 2 * 127 (or, with a zero point, 15) steps.
            error = np.abs(getattr(new, part) - getattr(old, part)).max()
            assert error <= 0.51 * (1 + (mode == "int4")) * entry / largest


def test_a_low_rank_update_counts(rng):
    layer = layers.MultiHeadAttention(2, 4, name="mha")
    x = rng.normal(size=(TOKENS, WIDTH)).astype("float32")
    layer.build((1, TOKENS, WIDTH), (1, TOKENS, WIDTH))
    filled(layer, rng)
    before = attention_layers(layer)[0]
    for part in layer._flatten_layers(include_self=False):
        if isinstance(part, layers.EinsumDense) and part.name in ("query", "attention_output"):
            part.enable_lora(2, lora_alpha=3)
            part.lora_kernel_a.assign(rng.normal(size=part.lora_kernel_a.shape))
            part.lora_kernel_b.assign(rng.normal(size=part.lora_kernel_b.shape))
    (factors,) = attention_layers(layer)
    assert np.abs(factors.query - before.query).min() > 0
    np.testing.assert_array_equal(factors.key, before.key)
    bias = layer.output_dense.bias
    expected = attend(factors, x, x, ops.convert_to_numpy(bias))
    np.testing.assert_allclose(called(layer, x, x), expected, rtol=2e-4, atol=2e-4)


def test_projections_that_are_not_built():
    class Lazy(Projections):
        def build(self, input_shape):
            self.parts[0].build(input_shape)

    layer = Lazy(["query", "key", "value", "attention_output"], name="lazy")
    layer.build((1, TOKENS, WIDTH))
    with pytest.raises(ValueError, match="`model` must be built: 'key' of 'lazy' has no kernel"):
        attention_layers(layer)


def test_sublayers_of_these_names_without_kernels_are_no_attention():
    layer = Projections(["query", "key", "value", "attention_output"])
    layer.parts = [layers.Dropout(0.1, name=name) for name in vars(SIGNATURES[0]).values()]
    layer.build((1, TOKENS, WIDTH))
    assert attention_layers(layer) == []


def test_what_is_no_model():
    with pytest.raises(ValueError, match="`model` must be a Keras model or layer, got str"):
        attention_layers("model.keras")


def test_a_model_that_is_not_built():
    with pytest.raises(ValueError, match="`model` must be built: call 'later'"):
        attention_layers(keras.Sequential([layers.Dense(2)], name="later"))


def test_projections_without_a_number_of_heads():
    layer = Projections(["q_proj", "k_proj", "v_proj", "out_proj"], name="own")
    layer.build((1, TOKENS, WIDTH))
    layer.num_heads = None
    with pytest.raises(ValueError, match="must say its heads as one of num_heads"):
        attention_layers(layer)
    layer.num_heads = 3
    with pytest.raises(ValueError, match="must have kernels for 3 heads, got 8 query units"):
        attention_layers(layer)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_weights_are_read_exactly(rng, dtype):
    layer = layers.MultiHeadAttention(2, 4, dtype=dtype)
    layer.build((1, TOKENS, WIDTH), (1, TOKENS, WIDTH))
    weights = [rng.integers(-8, 8, size=weight.shape) for weight in layer.weights]
    layer.set_weights(weights)  # small integers are exact in all three
    (factors,) = attention_layers(layer)
    np.testing.assert_array_equal(factors.query, weights[0].transpose(1, 0, 2))
    np.testing.assert_array_equal(factors.output, weights[6].transpose(0, 2, 1))


def test_measuring_leaves_no_trace():
    model = small_model()
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    before = [
        np.array(ops.convert_to_numpy(v)) for v in (*model.variables, *model.optimizer.variables)
    ]
    trainable = [layer.trainable for layer in model._flatten_layers()]
    state = np.random.get_state()[1].copy()  # noqa: NPY002, the global state is what is meant
    for factors in attention_layers(model):
        factors.query[:] = 0  # a copy: the model does not see it
    rows_of(attention_layers(model))
    after = [ops.convert_to_numpy(v) for v in (*model.variables, *model.optimizer.variables)]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    assert [layer.trainable for layer in model._flatten_layers()] == trainable
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_the_numbers_are_those_of_numpy_on_the_saved_weights(rng):
    # Held to NumPy and not to another backend: so all three agree to round-off.
    model = small_model(dtype="float64")
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
    row = rows_of(attention_layers(model))[1]
    query, _, key, *_ = (w for w in model.get_layer("first").get_weights())
    dense = np.linalg.svd(key[:, 1] @ query[:, 1].T, compute_uv=False)[:4]
    np.testing.assert_allclose(row["singular_values"], dense, rtol=1e-12)
    a, b = np.square(key[:, 1]).sum(), np.square(query[:, 1]).sum()
    np.testing.assert_allclose(row["nuclear_ratio"], dense.sum() / ((a + b) / 2), rtol=1e-12)


def test_keras_still_lists_its_layers_as_this_module_reads_them():
    model = small_model()
    assert [layer.name for layer in model._flatten_layers()].count("inside") == 1
    first = model.get_layer("first")
    direct = {layer.name for layer in first._flatten_layers(include_self=False, recursive=False)}
    assert {"query", "key", "value", "attention_output"} <= direct


def test_our_linear_attention_is_found(rng):
    layer = ours.LinearAttention(2, 4, value_dim=3, name="linear")
    layer.build((1, TOKENS, WIDTH), (1, TOKENS, WIDTH))
    (factors,) = attention_layers(filled(layer, rng))
    assert factors.name == "linear" and factors.query.shape == (2, WIDTH, 4)
    np.testing.assert_array_equal(
        factors.output[0], ops.convert_to_numpy(layer.output_dense.kernel)[0].T
    )
