"""Our attention held to Keras' with the same weights, and to float64 NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn import autodiff
from wdattn.layers import MultiHeadAttention, QueryKeyNormalization, RotaryEmbedding

HEADS, DIM = 2, 4


def softmax(scores):
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def literal(weights, query, value, key, mask, scale):
    """Head by head, in the paper's notation: tokens as columns, `W_K^T W_Q` and `P W_V` formed."""
    (w_q, b_q, w_k, b_k, w_v, b_v, p, b_o), found = weights, 0
    for head in range(w_q.shape[1]):
        queries = w_q[:, head].T @ query.swapaxes(1, 2) + b_q[head][:, None]
        keys = w_k[:, head].T @ key.swapaxes(1, 2) + b_k[head][:, None]
        values = w_v[:, head].T @ value.swapaxes(1, 2) + b_v[head][:, None]
        scores = np.where(mask, queries.swapaxes(1, 2) @ keys * scale, -np.inf)
        found = found + (p[head].T @ values @ softmax(scores).swapaxes(1, 2)).swapaxes(1, 2)
    return found + b_o


def inputs(rng, dtype="float32"):
    shapes = {"query": (2, 5, 6), "value": (2, 7, 8), "key": (2, 7, 9)}
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def pair(rng, given, **kwargs):
    """Keras' layer and ours with the same random weights."""
    made = [
        cls(HEADS, DIM, **kwargs) for cls in (keras.layers.MultiHeadAttention, MultiHeadAttention)
    ]
    for layer in made:
        layer.build(**{f"{name}_shape": x.shape for name, x in given.items()})
    weights = [rng.normal(scale=0.5, size=w.shape) for w in made[0].get_weights()]
    for layer in made:
        layer.set_weights(weights)
    return made


def numpy(outputs):
    return [ops.convert_to_numpy(x) for x in keras.tree.flatten(outputs)]


MASKS = {
    "none": {},
    "causal": {"use_causal_mask": True},
    "attention": {"attention_mask": (2, 5, 7)},
    "attention of all": {"attention_mask": (5, 7)},
    "heads": {"attention_mask": (2, HEADS, 5, 7)},
    "padding": {"value_mask": (2, 7), "key_mask": (2, 7)},
    "all": {"attention_mask": (2, 5, 7), "value_mask": (2, 7), "use_causal_mask": True},
}
ARGUMENTS = {
    "plain": {},
    "no bias": {"use_bias": False},
    "shape": {"output_shape": (3, 2)},
    "window": {"sliding_window": 3},
    "gate": {"use_gate": True},
    "dropout, not in training": {"dropout": 0.5},
}


def masks(rng, kind):
    """Random masks of the shapes above; each query may look at the first key."""

    def drawn(shape):
        mask = rng.random(shape) < 0.6
        mask[..., 0] = True
        return mask

    return {name: drawn(x) if isinstance(x, tuple) else x for name, x in MASKS[kind].items()}


@pytest.mark.parametrize("scores", [False, True], ids=["output", "scores"])
@pytest.mark.parametrize(
    ("arguments", "kind"),
    [("plain", kind) for kind in MASKS]
    + [(name, kind) for name in ARGUMENTS if name != "plain" for kind in ("causal", "all")],
)
def test_equals_keras(rng, arguments, kind, scores):
    given = inputs(rng)
    theirs, ours = pair(rng, given, **ARGUMENTS[arguments])
    options = {**masks(rng, kind), "return_attention_scores": scores}
    wanted, found = numpy(theirs(**given, **options)), numpy(ours(**given, **options))
    assert len(wanted) == len(found) == 1 + scores
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)  # float32


def test_values_wider_than_keys_equal_keras(rng):
    """Keras' own layer fails on JAX here, unless it is asked for the scores."""
    given = inputs(rng)
    theirs, ours = pair(rng, given, value_dim=3)
    wanted, scores = numpy(theirs(**given, return_attention_scores=True))
    np.testing.assert_allclose(numpy(ours(**given))[0], wanted, rtol=0, atol=1e-5)
    found = numpy(ours(**given, return_attention_scores=True))
    np.testing.assert_allclose(found[1], scores, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["none", "causal", "all"])
@pytest.mark.parametrize("self_attention", [False, True], ids=["cross", "self"])
def test_gradients_equal_keras(rng, kind, self_attention):
    given = inputs(rng)
    if self_attention:
        given = {"query": given["value"], "value": given["value"]}
    theirs, ours = pair(rng, given)
    options = masks(rng, kind) if not self_attention else {"use_causal_mask": kind != "none"}
    target = ops.convert_to_tensor(rng.normal(size=numpy(ours(**given))[0].shape), "float32")
    both = []
    for layer in (theirs, ours):

        def loss(layer=layer):
            return ops.mean(ops.square(layer(**given, **options) - target))

        value, gradients = autodiff.value_and_grad(loss, layer.trainable_variables)()
        both.append([value, *gradients])
    for one, other in zip(*map(numpy, both), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scores", [False, True], ids=["fused", "scores"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)])
def test_equals_the_literal_formula(rng, causal, scores, dtype, tolerance):
    given = inputs(rng, "float64")
    layer = MultiHeadAttention(HEADS, DIM, dtype=dtype)  # float64 is never fused
    layer(**given)
    weights = [rng.normal(size=w.shape) for w in layer.get_weights()]
    layer.set_weights(weights)
    mask = rng.random((2, 5, 7)) < 0.6
    mask[..., 0] = True
    options = {"use_causal_mask": causal, "return_attention_scores": scores}
    found = numpy(layer(**given, attention_mask=mask, **options))[0]
    mask = mask & np.tri(5, 7, dtype=bool) if causal else mask
    wanted = literal(weights, **given, mask=mask, scale=DIM**-0.5)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def test_weights_are_named_and_ordered_as_in_keras(rng):
    theirs, ours = pair(rng, inputs(rng), use_gate=True)

    def listed(layer):
        return [(v.path.partition("/")[2], tuple(v.shape)) for v in layer.weights]

    assert listed(ours) == listed(theirs)
    for name in ("query", "key", "value", "output"):
        sub_layer = getattr(ours, f"{name}_dense")
        assert sub_layer.name == getattr(theirs, f"{name}_dense").name


def test_a_config_of_keras_makes_ours(rng):
    theirs, _ = pair(rng, inputs(rng), dropout=0.1, output_shape=3)
    ours = MultiHeadAttention.from_config(theirs.get_config())
    config = theirs.get_config()
    assert {name: ours.get_config()[name] for name in config} == config | {"value_dim": DIM}


def small_text_model(attention):
    """As the examples on keras.io write a transformer's encoder."""
    tokens = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(11, 8, mask_zero=True)(tokens)
    attended = attention(num_heads=2, key_dim=8, dropout=0.1)(x, x)
    x = keras.layers.LayerNormalization(epsilon=1e-6)(x + attended)
    hidden = keras.layers.Dense(16, activation="relu")(x)
    x = keras.layers.LayerNormalization(epsilon=1e-6)(x + keras.layers.Dense(8)(hidden))
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(tokens, keras.layers.Dense(3)(x))


def test_swapped_into_a_model_by_one_line(rng, tmp_path):
    """Same logits, padding and all; and a weight file of one is read by the other."""
    theirs, ours = map(small_text_model, (keras.layers.MultiHeadAttention, MultiHeadAttention))
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    tokens = rng.integers(1, 11, size=(4, 9))
    tokens[1:, 6:] = 0
    wanted = ops.convert_to_numpy(theirs(tokens))
    np.testing.assert_allclose(ops.convert_to_numpy(ours(tokens)), wanted, rtol=0, atol=1e-5)
    again = small_text_model(keras.layers.MultiHeadAttention)
    ours.save_weights(tmp_path / "ours.weights.h5")
    again.load_weights(tmp_path / "ours.weights.h5")
    np.testing.assert_allclose(ops.convert_to_numpy(again(tokens)), wanted, rtol=0, atol=1e-6)


def test_padding_is_not_looked_at_and_its_mask_goes_on(rng):
    layer = MultiHeadAttention(HEADS, DIM)
    embedding = keras.layers.Embedding(9, 6, mask_zero=True)
    tokens = np.array([[3, 5, 2, 0, 0], [1, 2, 3, 4, 0]])
    x = embedding(tokens)
    found = layer(x, x)
    short = layer(x[:1, :3], x[:1, :3])
    np.testing.assert_allclose(
        ops.convert_to_numpy(found)[:1, :3], ops.convert_to_numpy(short), rtol=0, atol=1e-6
    )
    np.testing.assert_array_equal(ops.convert_to_numpy(found._keras_mask), tokens > 0)
    np.testing.assert_array_equal(ops.convert_to_numpy(x._keras_mask), tokens > 0)  # kept


def test_a_mask_of_queries_that_is_given_counts(rng):
    """As Keras' implicit one does: a masked query gets no key. Keras drops it."""
    given = inputs(rng)
    layer = MultiHeadAttention(HEADS, DIM)
    mask = np.array([[1, 1, 0, 1, 1], [1, 0, 0, 0, 1]], bool)
    _, scores = layer(**given, query_mask=mask, return_attention_scores=True)
    sums = ops.convert_to_numpy(scores).sum(-1)
    np.testing.assert_allclose(sums, np.broadcast_to(mask[:, None], sums.shape), atol=1e-6)


def test_factors_and_products_are_the_kernels(rng):
    given = inputs(rng, "float64")
    layer = MultiHeadAttention(HEADS, DIM, value_dim=3, output_shape=(2, 5), dtype="float64")
    layer(**given)
    w_q, _, w_k, _, w_v, _, p, _ = numpy(layer.weights)
    factors, products = layer.factors(), layer.products()
    p = p.reshape(HEADS, 3, 10)
    for head in range(HEADS):
        wanted = {"query": w_q[:, head], "key": w_k[:, head], "value": w_v[:, head]}
        for name, matrix in {**wanted, "output": p[head].T}.items():
            found = ops.convert_to_numpy(getattr(factors, name))
            np.testing.assert_array_equal(found[head], matrix)
        key_query = ops.convert_to_numpy(products.key_query)[head]
        np.testing.assert_allclose(key_query, w_k[:, head] @ w_q[:, head].T, rtol=1e-12)
        value_output = ops.convert_to_numpy(products.value_output)[head]
        np.testing.assert_allclose(value_output, p[head].T @ w_v[:, head].T, rtol=1e-12)


def test_a_loss_may_read_the_products(rng):
    """The gradient of |W_K^T W_Q|^2 / 2 with respect to W_K^T is W_K^T W_Q W_Q^T."""
    layer = MultiHeadAttention(HEADS, DIM, dtype="float64")
    layer.build((None, 5, 6), (None, 5, 6))

    def loss():
        return ops.sum(ops.square(layer.products().key_query)) / 2

    _, (gradient,) = autodiff.value_and_grad(loss, [layer.key_dense.kernel])()
    key, query = (ops.convert_to_numpy(x) for x in (layer.factors().key, layer.factors().query))
    wanted = key @ query.swapaxes(1, 2) @ query
    found = ops.convert_to_numpy(gradient).transpose(1, 0, 2)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("kind", ["none", "causal", "all"])
def test_merged_is_factored_with_its_products(rng, kind, use_bias):
    given = inputs(rng, "float64")
    options = {"use_bias": use_bias, "dtype": "float64"}
    factored = MultiHeadAttention(HEADS, DIM, output_shape=(2, 5), value_dim=3, **options)
    merged = MultiHeadAttention(
        HEADS, DIM, output_shape=(2, 5), parametrization="merged", **options
    )
    factored(**given), merged(**given)
    factored.set_weights([rng.normal(size=w.shape) for w in factored.get_weights()])
    products = factored.products()
    key_query = ops.convert_to_numpy(products.key_query).transpose(2, 0, 1)
    value_output = ops.convert_to_numpy(products.value_output).transpose(0, 2, 1)
    weights = [key_query, value_output.reshape(HEADS, 8, 2, 5)]
    if use_bias:
        _, b_q, w_k, _, _, b_v, p, b_o = factored.get_weights()
        of_scores = np.einsum("dhk,hk->hd", w_k, b_q)
        of_output = b_o + np.einsum("hv,hvxy->xy", b_v, p)
        weights = [weights[0], of_scores, weights[1], of_output]
    merged.set_weights(weights)
    options = {**masks(rng, kind), "return_attention_scores": True}
    for one, other in zip(*(numpy(x(**given, **options)) for x in (factored, merged)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    for name in ("key_query", "value_output"):
        one, other = (ops.convert_to_numpy(getattr(x.products(), name)) for x in (factored, merged))
        np.testing.assert_allclose(one, other, rtol=1e-9)
    assert merged.weights[0].path.partition("/")[2] == "key_query/kernel"


def test_merged_has_no_factors():
    layer = MultiHeadAttention(HEADS, DIM, parametrization="merged")
    with pytest.raises(ValueError, match="`parametrization` must be 'factored'"):
        layer.factors()


@pytest.mark.parametrize(
    "argument", [{"value_dim": 3}, {"use_gate": True}, {"query_key": RotaryEmbedding}], ids=str
)
def test_merged_refuses_what_it_cannot_express(argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"`{name}` must be left out with parametrization"):
        MultiHeadAttention(HEADS, DIM, parametrization="merged", **argument)


@pytest.mark.parametrize(
    ("disabled", "argument", "wanted"),
    [(False, None, None), (True, None, False), (True, True, True), (False, False, False)],
)
def test_keras_switch_of_flash_attention_counts(monkeypatch, disabled, argument, wanted):
    given, stock = [], ops.dot_product_attention

    def spy(*args, flash_attention=None, **kwargs):
        given.append(flash_attention)
        return stock(*args, **kwargs)

    monkeypatch.setattr(ops, "dot_product_attention", spy)
    try:
        if disabled:
            keras.config.disable_flash_attention()
        layer = MultiHeadAttention(HEADS, DIM, flash_attention=argument)
    finally:
        keras.config.enable_flash_attention()
    layer(np.ones((1, 3, 4), "float32"), np.ones((1, 3, 4), "float32"))
    assert given == [wanted] and layer.get_config()["flash_attention"] is argument


def test_flash_attention_is_refused_where_keras_refuses_it():
    with pytest.raises(ValueError, match="`dropout` must be 0 with flash_attention=True"):
        MultiHeadAttention(HEADS, DIM, dropout=0.1, flash_attention=True)
    layer, x = MultiHeadAttention(HEADS, DIM, flash_attention=True), np.ones((1, 3, 4), "float32")
    with pytest.raises(ValueError, match="`return_attention_scores` must be False with flash"):
        layer(x, x, return_attention_scores=True)


def test_flash_attention_is_refused_for_merged_matrices():
    with pytest.raises(ValueError, match="`flash_attention` must be left out with parametriz"):
        MultiHeadAttention(HEADS, DIM, parametrization="merged", flash_attention=True)


def overridden(base):
    class Sharper(base):
        """Keras' documented override point: scores of twice the size, and a record of masks."""

        def _compute_attention(
            self, query, key, value, attention_mask=None, training=None, return_scores=False
        ):
            self.seen = attention_mask
            return super()._compute_attention(
                query * 2, key, value, attention_mask, training, return_scores
            )

    return Sharper


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("scores", [False, True], ids=["output", "scores"])
def test_a_subclass_has_its_own_attention(rng, kind, scores):
    """As Keras' layer with the same override, which gets the same masks."""
    given = inputs(rng)
    theirs, ours = (
        overridden(cls)(HEADS, DIM) for cls in (keras.layers.MultiHeadAttention, MultiHeadAttention)
    )
    for layer in (theirs, ours):
        layer.build(**{f"{name}_shape": x.shape for name, x in given.items()})
    theirs.set_weights([rng.normal(scale=0.5, size=w.shape) for w in theirs.get_weights()])
    ours.set_weights(theirs.get_weights())
    options = {**masks(rng, kind), "return_attention_scores": scores}
    wanted, found = numpy(theirs(**given, **options)), numpy(ours(**given, **options))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
    if kind == "none":
        assert ours.seen is None
    else:
        own, their = (ops.convert_to_numpy(layer.seen) for layer in (ours, theirs))
        full = np.broadcast_shapes(own.shape, their.shape)
        assert own.ndim == max(their.ndim, 3)  # to (T, S) alone Keras adds no batch
        np.testing.assert_array_equal(np.broadcast_to(own, full), np.broadcast_to(their, full))
    plain = MultiHeadAttention(HEADS, DIM)
    plain(**given)
    plain.set_weights(ours.get_weights())
    assert np.abs(numpy(plain(**given, **options))[0] - found[0]).max() > 1e-3


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"parametrization": "merged"},
        {"query_key": [QueryKeyNormalization, RotaryEmbedding]},
    ],
    ids=["factored", "merged", "query_key"],
)
def test_second_derivatives_are_right(rng, second_derivative, arguments):
    x = rng.normal(size=(2, 5, 6))
    layer = MultiHeadAttention(HEADS, DIM, dtype="float64", seed=1, **arguments)
    layer(x, x)
    layer.set_weights([rng.normal(scale=0.7, size=w.shape) for w in layer.get_weights()])

    def loss():
        return ops.sum(layer(x, x, use_causal_mask=True) ** 3)

    found, wanted = second_derivative(loss, layer.trainable_variables)
    # The difference quotient's own error; a wrong derivative is percents off.
    np.testing.assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max())


def test_second_derivatives_of_the_fused_attention_are_right(rng):
    """Float32 is fused, float64 is not. On PyTorch the fused one has none of its own."""
    x = rng.normal(size=(2, 5, 6))
    vectors, weights, products = [], [], []
    for dtype in ("float64", "float32"):
        layer = MultiHeadAttention(HEADS, DIM, dtype=dtype)
        given = ops.convert_to_tensor(x, dtype)
        layer(given, given)
        shapes = [w.shape for w in layer.weights]
        weights = weights or [rng.normal(scale=0.5, size=shape) for shape in shapes]
        vectors = vectors or [rng.normal(size=shape) for shape in shapes]
        layer.set_weights(weights)

        def loss(layer=layer, given=given):
            return ops.sum(layer(given, given, use_causal_mask=True) ** 3)

        found = autodiff.hvp(loss, layer.trainable_variables)([v.astype(dtype) for v in vectors])
        products.append(np.concatenate([one.ravel() for one in numpy(found)]))
    wanted, found = products
    assert np.abs(wanted - found).max() < 1e-4 * np.abs(wanted).max()  # float32, long sums


def test_queries_and_keys_pass_through_the_layers_in_order(rng):
    given = inputs(rng)
    layer = MultiHeadAttention(
        HEADS, DIM, query_key=[QueryKeyNormalization, RotaryEmbedding(name="turn")], name="mine"
    )
    found = numpy(layer(**given))[0]
    assert [one.name for one in layer.query_key] == ["query_key_0", "turn"]
    assert "mine/query_key_0/query/scale" in [v.path for v in layer.weights]
    query, key = layer.query_dense(given["query"]), layer.key_dense(given["key"])
    for one in layer.query_key:
        query, key = one(query, key)
    value = layer.value_dense(given["value"])
    wanted = layer.output_dense(ops.dot_product_attention(query, key, value))
    np.testing.assert_allclose(found, ops.convert_to_numpy(wanted), rtol=0, atol=1e-5)
    plain = MultiHeadAttention(HEADS, DIM)
    plain(**given)
    plain.set_weights(layer.get_weights()[2:])
    assert np.abs(numpy(plain(**given))[0] - found).max() > 0.01


def test_rotated_attention_depends_on_distances_alone(rng):
    x = np.repeat(rng.normal(size=(1, 1, 6)), 5, axis=1) + rng.normal(size=(1, 5, 6))
    layer = MultiHeadAttention(HEADS, DIM, query_key=RotaryEmbedding, dtype="float64")
    shifted = np.concatenate([np.zeros((1, 2, 6)), x], axis=1)
    mask = np.arange(7) >= 2
    found = numpy(layer(shifted, shifted, attention_mask=mask[None]))[0][:, 2:]
    np.testing.assert_allclose(found, numpy(layer(x, x))[0], rtol=1e-6, atol=1e-6)
    backwards = numpy(layer(x[:, ::-1], x[:, ::-1]))[0][:, ::-1]
    assert np.abs(backwards - numpy(layer(x, x))[0]).max() > 1e-3  # and order does matter


def test_dropout_acts_in_training_alone(rng):
    given = inputs(rng)
    layer = MultiHeadAttention(HEADS, DIM, dropout=0.5, seed=3)
    still = numpy(layer(**given))[0]
    np.testing.assert_array_equal(numpy(layer(**given, training=False))[0], still)
    assert np.abs(numpy(layer(**given, training=True))[0] - still).max() > 0.01


def test_scores_of_cross_attention_have_their_shape_said_before():
    query, value = keras.Input((5, 6)), keras.Input((7, 8))
    output, scores = MultiHeadAttention(HEADS, DIM)(query, value, return_attention_scores=True)
    assert output.shape == (None, 5, 6) and scores.shape == (None, HEADS, 5, 7)


def test_any_length_after_build(rng):
    x = keras.Input((None, 6))
    layer = MultiHeadAttention(HEADS, DIM, sliding_window=2)
    model = keras.Model(x, layer(x, x, use_causal_mask=True))
    for tokens in (1, 8):
        given = rng.normal(size=(2, tokens, 6)).astype("float32")
        found = model.predict(given, verbose=0)
        wanted = numpy(layer(given, given, use_causal_mask=True))[0]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "name"),
    [
        (((2, 5), (2, 7, 8)), "query"),
        (((2, 5, 6), (2, 7, 8, 1)), "value"),
        (((2, 5, 6), (2, 7, 8), (2, 6, 8)), "key"),
    ],
    ids=["query", "value", "key"],
)
def test_bad_shapes(shapes, name):
    with pytest.raises(ValueError, match=f"`{name}` must"):
        MultiHeadAttention(HEADS, DIM)(*(np.ones(shape, "float32") for shape in shapes))


def lora(rng, given, **kwargs):
    """A layer with LoRA matrices that do something."""
    layer = MultiHeadAttention(HEADS, DIM, name="mine")
    layer(**given)
    layer.enable_lora(3, **kwargs)
    for variable in layer.weights:
        if "lora" in variable.name:
            variable.assign(rng.normal(scale=0.3, size=variable.shape))
    return layer


@pytest.mark.parametrize("projections", [None, ("query", "value")])
def test_lora_trains_matrices_beside_frozen_kernels(rng, projections):
    given = inputs(rng)
    layer = lora(rng, given, lora_alpha=6.0, projections=projections)
    named = projections or ("query", "key", "value", "attention_output")
    wanted = {f"mine/{name}/{part}" for name in named for part in ("bias", *LORA)}
    assert {v.path for v in layer.trainable_variables} == wanted
    merged = MultiHeadAttention(HEADS, DIM)
    merged(**given)
    own = {v.path: ops.convert_to_numpy(v) for v in layer.weights}
    for name in ("query", "key", "value", "attention_output"):
        kernel = own[f"mine/{name}/kernel"]
        if name in named:
            low_rank = own[f"mine/{name}/lora_kernel_a"] @ own[f"mine/{name}/lora_kernel_b"]
            kernel = kernel + 6.0 / 3 * low_rank
        dense = (
            merged.output_dense if name == "attention_output" else getattr(merged, f"{name}_dense")
        )
        dense.kernel.assign(kernel)
    np.testing.assert_allclose(numpy(layer(**given))[0], numpy(merged(**given))[0], atol=1e-5)
    for part in ("query", "key", "value", "output"):
        one, other = (getattr(x.factors(), part) for x in (layer, merged))
        np.testing.assert_allclose(*map(ops.convert_to_numpy, (one, other)), atol=1e-6)


LORA = ("lora_kernel_a", "lora_kernel_b")


def test_lora_is_saved_in_the_kernels(rng, tmp_path):
    """As Keras saves it."""
    x, given = keras.Input((5, 6)), rng.normal(size=(2, 5, 6)).astype("float32")
    layer = MultiHeadAttention(HEADS, DIM)
    model = keras.Model(x, layer(x, x))
    layer.enable_lora(2, b_initializer="ones")
    wanted = model.predict(given, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(given, verbose=0), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("rank", value) for value in (0, -1, 2.0, True, None, "2")]
    + [("lora_alpha", value) for value in (0, -1.0, np.nan, "1", True)]
    + [("projections", value) for value in ("query", (), ("output",), ("query", 1))]
    + [(name, value) for name in ("a_initializer", "b_initializer") for value in (None, "no", 1)],
)
def test_bad_arguments_of_lora(name, value):
    layer = MultiHeadAttention(HEADS, DIM)
    layer.build((None, 5, 6), (None, 5, 6))
    before = [(v.path, v.trainable) for v in layer.weights]
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        layer.enable_lora(**{"rank": 2, name: value})
    assert [(v.path, v.trainable) for v in layer.weights] == before


def test_lora_needs_a_built_layer():
    with pytest.raises(ValueError, match="must be built before `enable_lora`"):
        MultiHeadAttention(HEADS, DIM).enable_lora(2)


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
@pytest.mark.parametrize("arguments", [{}, {"parametrization": "merged"}], ids=str)
def test_products_of_quantized_kernels_are_floats(rng, mode, arguments):
    """Codes without their scales are of another size; these are off by roundings alone."""
    layer = MultiHeadAttention(HEADS, DIM, output_shape=(3, 2), **arguments)
    layer.build((None, 5, 6), (None, 7, 8))
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    before = layer.products()
    for dense in layer._flatten_layers(include_self=False):
        if isinstance(dense, keras.layers.EinsumDense):
            dense.quantize(mode)
    after = layer.products()
    for name in ("key_query", "value_output"):
        one, other = (ops.convert_to_numpy(getattr(x, name)) for x in (after, before))
        error = np.abs(one - other).max() / np.abs(other).max()
        assert 0 <= error < {"int8": 0.02, "int4": 0.3, "float8": 0.1}[mode]


def test_a_cloned_model_may_have_ours(rng):
    """`clone_model` with Keras' layers swapped for ours, by their configs."""
    theirs = small_text_model(keras.layers.MultiHeadAttention)

    def swapped(layer):
        theirs = type(layer) is keras.layers.MultiHeadAttention
        return (MultiHeadAttention if theirs else type(layer)).from_config(layer.get_config())

    ours = keras.models.clone_model(theirs, clone_function=swapped)
    assert any(isinstance(layer, MultiHeadAttention) for layer in ours.layers)
    ours.set_weights(theirs.get_weights())
    tokens = rng.integers(1, 11, size=(4, 9))
    wanted = ops.convert_to_numpy(theirs(tokens))
    np.testing.assert_allclose(ops.convert_to_numpy(ours(tokens)), wanted, rtol=0, atol=1e-5)


class Third(keras.constraints.Constraint):
    """A third of a weight."""

    def __call__(self, w):
        return w / 3


def test_regularizers_and_constraints_reach_each_projection(rng):
    layer = MultiHeadAttention(
        HEADS,
        DIM,
        kernel_regularizer=keras.regularizers.L2(3.0),
        bias_regularizer=keras.regularizers.L1(5.0),
        activity_regularizer=keras.regularizers.L1(7.0),
        kernel_constraint=Third(),
        bias_constraint=keras.constraints.NonNeg(),
    )
    given = inputs(rng)
    layer(**given)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    weights = layer.get_weights()
    kernels, biases = weights[::2], weights[1::2]
    layer(**given)
    losses = sorted(float(ops.convert_to_numpy(loss)) for loss in layer.losses)
    penalties = [3 * (w**2).sum() for w in kernels] + [5 * np.abs(w).sum() for w in biases]
    assert len(losses) == 12  # the penalties of four projections' outputs are there as well
    for penalty in penalties:
        assert np.abs(np.array(losses) - penalty).min() < 1e-4 * penalty
    for variable, weight in zip(layer.weights, weights, strict=True):
        constrained = ops.convert_to_numpy(variable.constraint(variable.value))
        wanted = weight / 3 if variable.name == "kernel" else np.maximum(weight, 0)
        np.testing.assert_allclose(constrained, wanted, rtol=1e-6)
