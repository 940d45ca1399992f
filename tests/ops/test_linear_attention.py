"""Each form against a recurrence in float64 NumPy, whose gradients are complex steps."""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn import backend
from wdattn.ops import Chunked, linear_attention, linear_attention_scores
from wdattn.ops.linear_attention_forms import SUMMED

FORMS = ["parallel", Chunked(2), "recurrent"]
MAPS = {
    "identity": lambda x: x,
    "elu": lambda x: np.where(x.real > 0, x + 1, np.exp(x)),
    "relu": lambda x: np.where(x.real > 0, x, 0),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
}


def doubled(x):
    """Wider than its argument, and at times negative."""
    return ops.concatenate([x, x * x - 1], axis=-1)


MAPS[doubled] = lambda x: np.concatenate([x, x * x - 1], axis=-1)


def literal(
    query, key, value, feature_map="elu", causal=False, normalize=True, seen=None, state=None
):
    """Token by token as the paper writes it; `seen` is the mask of keys. Outputs and state."""
    query, key = MAPS[feature_map](query), MAPS[feature_map](key)
    keys, queries = key.shape[1], query.shape[1]
    seen = np.ones(key.shape[:2]) if seen is None else seen
    if normalize:
        value = np.concatenate([value, np.ones_like(value[..., :1])], -1)
    memory = np.zeros_like(key[:, 0, :, :, None] * value[:, 0, :, None, :])
    memory = memory if state is None else memory + state
    read = []
    for token in range(max(keys, queries)):
        if token < keys:
            masked = seen[:, token, None, None] * key[:, token]
            memory = memory + masked[..., None] * value[:, token, :, None, :]
        read.append(memory)
    outputs = [
        np.einsum("bhf,bhfv->bhv", query[:, i], read[i if causal else -1]) for i in range(queries)
    ]
    outputs = np.stack(outputs, 1)
    if normalize:
        numerator, denominator = outputs[..., :-1], outputs[..., -1:]
        with np.errstate(invalid="ignore", divide="ignore"):
            outputs = np.where(denominator == 0, 0, numerator / denominator)
    return outputs, memory


def draw(rng, queries=7, keys=7, dim=3, width=5, heads=2):
    shapes = (2, queries, heads, dim), (2, keys, heads, dim), (2, keys, heads, width)
    return [rng.normal(size=shape) for shape in shapes]


def tensors(arrays, dtype="float64"):
    return [ops.convert_to_tensor(array, dtype=dtype) for array in arrays]


def attend(arrays, **kwargs):
    state = kwargs.pop("state", None)
    if state is not None:
        kwargs["state"] = ops.convert_to_tensor(state, dtype="float64")
    found = linear_attention(*tensors(arrays), **kwargs)
    return [ops.convert_to_numpy(x) for x in (found if isinstance(found, tuple) else (found,))]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    ("feature_map", "normalize"),
    [("identity", False), ("elu", True), ("relu", True), ("softmax", True), (doubled, False)],
    ids=["identity", "elu", "relu", "softmax", "callable"],
)
def test_value_and_gradient(rng, feature_map, causal, normalize, form):
    """Three chunks of two and one of one; the value is wider than the key."""
    arrays, settings = draw(rng), {"feature_map": feature_map, "causal": causal}
    settings["normalize"] = normalize
    wanted = literal(*arrays, **settings)[0]
    weights = rng.normal(size=wanted.shape)
    steps = [rng.normal(size=array.shape) for array in arrays]

    def loss(parameters):
        found = linear_attention(*parameters, **settings, form=form)
        return ops.sum(found * ops.convert_to_tensor(weights, dtype="float64"))

    value, gradients = backend.value_and_grad(loss)(tensors(arrays))
    found = attend(arrays, **settings, form=form)[0]
    # Summed in another order, in float64.
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12 * scale)
    np.testing.assert_allclose(float(value), (weights * wanted).sum(), rtol=1e-9)
    for index, (step, gradient) in enumerate(zip(steps, gradients, strict=True)):
        moved = list(map(np.asarray, arrays))
        moved[index] = moved[index] + 1e-30j * step
        slope = (weights * literal(*moved, **settings)[0]).sum().imag / 1e-30
        assert slope == pytest.approx((ops.convert_to_numpy(gradient) * step).sum(), rel=1e-8)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (9, 9), (5, 9), (9, 5)])
def test_any_length(rng, queries, keys, causal, form):
    """Whole chunks, a piece of one, and other numbers of queries than of keys."""
    arrays = draw(rng, queries, keys)
    wanted = literal(*arrays, causal=causal)
    sizes = map(Chunked, (3, 4, 100))
    for sized in (*sizes, "chunked") if form == Chunked(2) and queries == 9 else (form,):
        found = attend(arrays, causal=causal, form=sized, return_state=True)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_many_chunks_are_summed_in_another_way(rng):
    arrays = draw(rng, 2 * SUMMED + 1, 2 * SUMMED + 1)
    wanted = literal(*arrays, causal=True)
    for size in (1, 2):  # more than `SUMMED` chunks, and one more than that many
        found = attend(arrays, causal=True, form=Chunked(size), return_state=True)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_no_token_gives_none(rng):
    found = attend(draw(rng, 0, 0), causal=True)[0]
    assert found.shape == (2, 0, 2, 5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("causal", [True, False])
def test_masks(rng, causal, form):
    """The first key of the first row is masked: a causal query there sees none, and finds 0."""
    arrays = draw(rng)
    seen = rng.random((2, 7)) > 0.4
    seen[0, 0], seen[1] = False, [True] * 4 + [False] * 3
    wanted = literal(*arrays, causal=causal, seen=seen)[0]
    settings = {"causal": causal, "form": form, "mask": seen[:, None, None]}
    found = attend(arrays, **settings)[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)
    assert not causal or not found[0, 0].any()
    arrays[1][~seen] = np.inf  # a masked key may hold anything
    found = attend(arrays, **settings)[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_where_a_denominator_is_zero(rng, form):
    """Relu features without a common one, and a query before the first key: 0, and not nan."""
    arrays = draw(rng)
    arrays[0][:, :3] = -1.0
    arrays[1][:, 0] = -1.0
    settings = {"feature_map": "relu", "causal": True, "form": form}
    settings["mask"] = np.array([[False] * 4 + [True] * 3] * 2)[:, None, None]

    def loss(parameters):
        return ops.sum(linear_attention(*parameters, **settings) ** 2)

    found = attend(arrays, **settings)[0]
    np.testing.assert_array_equal(found[:, :4], 0)
    gradients = backend.value_and_grad(loss)(tensors(arrays))[1]
    gradients = [ops.convert_to_numpy(gradient) for gradient in gradients]
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert not gradients[0][:, :4].any() and gradients[0][:, 4:].any()


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_states_join_pieces(rng, form, normalize):
    """Any form goes on from the state of any other."""
    arrays = draw(rng, 9, 9)
    whole = literal(*arrays, causal=True, normalize=normalize)
    settings = {"causal": True, "normalize": normalize, "return_state": True}
    for first in FORMS:
        outputs, state = attend([x[:, :4] for x in arrays], form=first, **settings)
        more, state = attend([x[:, 4:] for x in arrays], form=form, state=state, **settings)
        found = np.concatenate([outputs, more], 1)
        np.testing.assert_allclose(found, whole[0], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(state, whole[1], rtol=1e-10, atol=1e-12)
    settings["causal"] = False
    start = rng.random(whole[1].shape)
    found = attend(arrays, form=form, state=start, **settings)
    for one, other in zip(found, literal(*arrays, normalize=normalize, state=start), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_scores_and_a_mask_of_pairs(rng, causal, normalize):
    query, key, value = draw(rng, 5, 7)
    mask = rng.random((2, 1, 5, 7)) > 0.3
    mask[0, 0, 2] = False
    kept = mask & np.tri(5, 7, dtype=bool) if causal else mask
    wanted = np.einsum("bthf,bshf->bhts", MAPS["elu"](query), MAPS["elu"](key)) * kept
    if normalize:
        total = wanted.sum(-1, keepdims=True)
        wanted = wanted / np.where(total == 0, 1, total)
    settings = {"causal": causal, "normalize": normalize, "mask": mask}
    found = ops.convert_to_numpy(linear_attention_scores(*tensors((query, key)), **settings))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    outputs = attend((query, key, value), form="parallel", **settings)[0]
    np.testing.assert_allclose(outputs, np.einsum("bhts,bshv->bthv", wanted, value), rtol=1e-10)


# Beside the largest entry of an output or gradient, float32 was at most 7e-7 away on PyTorch and
# TensorFlow, and bfloat16, which rounds arguments' gradients and outputs to 8 bits, 4e-3.
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("bfloat16", 2**-7)])
@pytest.mark.parametrize("form", FORMS)
def test_precision(rng, form, dtype, tolerance):
    """After 200 tokens too, the sums are no coarser than the arguments."""
    rounded = tensors(draw(rng, 200, 200, 8, 6), dtype)
    arrays = [ops.convert_to_numpy(ops.cast(x, "float64")) for x in rounded]
    weights = ops.convert_to_tensor(rng.normal(size=arrays[2].shape), "float64")
    exact = literal(*arrays, causal=True)[0]
    found = linear_attention(*rounded, form=form, causal=True)
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    found = ops.convert_to_numpy(ops.cast(found, "float64"))
    assert np.abs(found - exact).max() <= tolerance * np.abs(exact).max()

    def gradients(form, parameters):
        def loss(parameters):
            found = linear_attention(*parameters, form=form, causal=True)
            return ops.sum(ops.cast(found, "float64") * weights)

        found = backend.value_and_grad(loss)(parameters)[1]
        return [ops.convert_to_numpy(ops.cast(x, "float64")) for x in found]

    exact = gradients("parallel", tensors(arrays))
    for one, other in zip(gradients(form, rounded), exact, strict=True):
        assert np.abs(one - other).max() <= tolerance * np.abs(other).max()


@pytest.mark.parametrize("form", FORMS)
def test_jit(rng, form):
    arrays = draw(rng)
    compiled = backend.jit(lambda *x: linear_attention(*x, causal=True, form=form))
    found = ops.convert_to_numpy(compiled(*tensors(arrays)))
    np.testing.assert_allclose(found, literal(*arrays, causal=True)[0], rtol=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_in_a_functional_model(rng, form, tmp_path):
    """Batch and tokens unknown; saved and loaded, with a state and masks beside it."""
    query, seen = keras.Input((None, 2, 3)), keras.Input((None,), dtype="bool")
    settings = {"causal": True, "form": form}
    outputs, state = linear_attention(
        query, query, query, mask=seen[:, None, None], return_state=True, **settings
    )
    again = linear_attention(query, query, query, state=state, **settings)
    assert outputs.shape == again.shape == (None, None, 2, 3) and state.shape == (None, 2, 3, 4)
    model = keras.Model([query, seen], [outputs, state, again])
    model.save(tmp_path / "model.keras")
    for made in (model, keras.saving.load_model(tmp_path / "model.keras")):
        for tokens in (1, 7):
            x, mask = rng.normal(size=(2, tokens, 2, 3)), rng.random((2, tokens)) > 0.4
            found = made.predict([x.astype("float32"), mask], verbose=0)
            first = literal(x, x, x, causal=True, seen=mask)
            wanted = [*first, literal(x, x, x, causal=True, state=first[1])[0]]
            for one, other in zip(found, wanted, strict=True):
                # float32, of sums of up to 14 terms.
                np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


BAD = {
    "form": [{"form": form} for form in ("fast", None, 64, Chunked)],
    "feature_map": [{"feature_map": given} for given in ("tanh", 1, None, len)],
    "causal": [{"causal": given} for given in ("no", 1, None, 0.0)],
    "normalize": [{"normalize": given} for given in ("no", 0, None)],
    "return_state": [{"return_state": given} for given in ("no", 1, None)],
    "mask": [
        {"mask": np.ones((1, 1, 7, 7), bool)},
        {"mask": np.ones((1, 1, 7, 7), bool), "form": "parallel", "return_state": True},
        *[{"mask": given} for given in ("no", 1, np.ones((2, 7), bool))],
        {"mask": np.ones((2, 1, 1, 6), bool)},
        {"mask": np.zeros((2, 1, 1, 7))},  # one to be added to scores
    ],
    "state": [
        *[{"state": given} for given in ("no", 1.0, np.ones((2, 2, 3, 6), "int32"))],
        *[{"state": np.ones((2, 2, 3, 5))}, {"state": np.ones((2, 3, 6))}],
    ],
    "query": [
        *[{"query": given} for given in ("no", 1.0, None, {})],
        *[{"query": np.ones((2, 7, 3))}, {"query": np.ones((2, 7, 2, 3), "int32")}],
    ],
    "key": [{"key": np.ones((2, 7, 2, 4))}, {"key": np.ones((2, 7, 1, 3))}, {"key": None}],
    "value": [{"value": np.ones((2, 6, 2, 3))}, {"value": np.ones((2, 7, 1, 3))}, {"value": None}],
}


@pytest.mark.parametrize(
    ("name", "changed"), [(name, changed) for name, cases in BAD.items() for changed in cases]
)
def test_bad_argument(rng, name, changed):
    arguments = dict(zip(("query", "key", "value"), draw(rng), strict=True)) | changed
    with pytest.raises(ValueError, match=f"`{name}`"):
        linear_attention(**arguments)
    if name in ("feature_map", "causal", "normalize", "query", "key"):
        del arguments["value"]
        with pytest.raises(ValueError, match=f"`{name}`"):
            linear_attention_scores(**arguments)


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "64", None])
def test_bad_size_of_chunks(size):
    with pytest.raises(ValueError, match="`size` must be an int >= 1"):
        Chunked(size)


def test_numpys_integers_are_sizes():
    assert Chunked(np.int64(3)) == Chunked(3) and type(Chunked(np.int64(3)).size) is int
