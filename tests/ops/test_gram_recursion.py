import keras
import numpy as np
import pytest
from keras import ops

from wdattn import backend
from wdattn.ops import gram_recursion


def literal(z, values, key_queries):
    """The query token as the paper writes it: scores formed, mask and all, float64 NumPy."""
    n = z.shape[1] - 1
    mask = np.diag([1.0] * n + [0.0])
    for value, key_query in zip(values, key_queries, strict=True):
        scores = np.einsum("bif,gf,bjg->bij", z, key_query, z) @ mask
        z = z + scores @ z @ value.T / n
    return z[:, -1]


def draw(rng, depth, n, f=4, batch=3, spread=0.2):
    """Prompts and asymmetric matrices, float64."""
    return rng.normal(size=(batch, n + 1, f)), *(spread * rng.normal(size=(2, depth, f, f)))


def tensors(arrays):
    return [ops.convert_to_tensor(array) for array in arrays]


@pytest.mark.parametrize("n", [1, 5, 20])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 8])  # 4 and 8 form Gram matrices as well
def test_equals_the_literal_stack(rng, depth, n):
    prompts, values, key_queries = draw(rng, depth, n, spread=0.2 if depth < 8 else 0.05)
    found = gram_recursion(ops.convert_to_tensor(prompts), tensors(values), tensors(key_queries))
    wanted = literal(prompts, values, key_queries)
    assert np.abs(wanted - prompts[:, -1]).max() > 0.01  # the layers do something
    np.testing.assert_allclose(ops.convert_to_numpy(found), wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("mutation", ["mask", "transposed Q", "transposed P", "1/n", "order"])
def test_the_literal_stack_tells_mutations_apart(rng, mutation):
    """What the test above would see if the op had this mistake."""
    prompts, values, key_queries = draw(rng, 3, 5)
    wanted = literal(prompts, values, key_queries)
    if mutation == "mask":  # the query as a key: one more context token, with the same 1/n
        prompts, values = np.concatenate([prompts, prompts[:, -1:]], 1), values * 6 / 5
    elif mutation == "transposed Q":
        key_queries = key_queries.swapaxes(1, 2)
    elif mutation == "transposed P":
        values = values.swapaxes(1, 2)
    elif mutation == "1/n":
        values = values * 5
    else:
        values = values[::-1]
    found = gram_recursion(ops.convert_to_tensor(prompts), tensors(values), tensors(key_queries))
    assert np.abs(ops.convert_to_numpy(found) - wanted).max() > 0.01 * np.abs(wanted).max()


def inner(parts, vectors):
    return sum(np.sum(ops.convert_to_numpy(p) * v) for p, v in zip(parts, vectors, strict=True))


def scalar_loss(depth):
    def loss(parameters, prompts):
        rows = gram_recursion(prompts, parameters[:depth], parameters[depth:])
        return ops.mean(ops.square(rows))

    return loss


@pytest.mark.parametrize("depth", [1, 3, 4])  # 4 forms a Gram matrix
def test_gradient_and_hessian_against_central_differences(rng, depth):
    prompts, values, key_queries = draw(rng, depth, n=5, spread=0.1)
    flat = np.concatenate([values, key_queries])
    vectors = rng.normal(size=flat.shape)

    def value(weights):
        return np.mean(literal(prompts, weights[:depth], weights[depth:]) ** 2)

    loss, x = scalar_loss(depth), ops.convert_to_tensor(prompts)
    _, gradients = backend.value_and_grad(loss)(tensors(flat), x)
    step = 1e-5
    slope = (value(flat + step * vectors) - value(flat - step * vectors)) / (2 * step)
    np.testing.assert_allclose(
        inner(gradients, vectors), slope, rtol=1e-6
    )  # truncation of the difference

    products = backend.hvp(loss)(tensors(flat), tensors(vectors), x)
    step = 1e-4
    second = value(flat + step * vectors) - 2 * value(flat) + value(flat - step * vectors)
    np.testing.assert_allclose(inner(products, vectors), second / step**2, rtol=1e-4)  # likewise


@pytest.mark.parametrize("depth", [3, 4])
def test_vmap_over_replicas_equals_a_loop(rng, depth):
    replicas = [draw(rng, depth, n=5) for _ in range(3)]
    prompts = np.stack([replica[0] for replica in replicas])
    parameters = list(np.stack([np.concatenate(r[1:]) for r in replicas], axis=1))
    gradient = backend.value_and_grad(scalar_loss(depth))
    losses, stacked = backend.vmap(gradient)(tensors(parameters), ops.convert_to_tensor(prompts))
    for index, (x, *matrices) in enumerate(replicas):
        value, gradients = gradient(tensors(np.concatenate(matrices)), ops.convert_to_tensor(x))
        np.testing.assert_allclose(float(losses[index]), float(value), rtol=1e-12)
        for all_of_them, one in zip(stacked, gradients, strict=True):
            found = ops.convert_to_numpy(all_of_them)[index]
            np.testing.assert_allclose(found, ops.convert_to_numpy(one), rtol=1e-9, atol=1e-12)


def test_the_query_is_never_a_key(rng):
    """Linear in the query: the Gram matrix does not hold it."""
    prompts, values, key_queries = draw(rng, 3, 5)
    weights = tensors(values), tensors(key_queries)
    doubled = prompts.copy()
    doubled[:, -1] *= 2
    one = ops.convert_to_numpy(gram_recursion(ops.convert_to_tensor(prompts), *weights))
    two = ops.convert_to_numpy(gram_recursion(ops.convert_to_tensor(doubled), *weights))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-10)


def test_order_of_the_context_does_not_matter(rng):
    prompts, values, key_queries = draw(rng, 3, 6)
    weights = tensors(values), tensors(key_queries)
    shuffled = prompts[:, [3, 0, 5, 1, 4, 2, 6]]
    one = ops.convert_to_numpy(gram_recursion(ops.convert_to_tensor(prompts), *weights))
    two = ops.convert_to_numpy(gram_recursion(ops.convert_to_tensor(shuffled), *weights))
    np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-12)


def test_dtype_is_kept(rng):
    for dtype in ("float32", "float64"):
        prompts, values, key_queries = (part.astype(dtype) for part in draw(rng, 2, 5))
        found = gram_recursion(
            ops.convert_to_tensor(prompts), tensors(values), tensors(key_queries)
        )
        assert keras.backend.standardize_dtype(found.dtype) == dtype


@pytest.mark.parametrize(
    ("prompts", "values", "key_queries", "message"),
    [
        ((3, 4), [(4, 4)], [(4, 4)], r"`prompts` must be .* got shape \(3, 4\)"),
        ((3, 1, 4), [(4, 4)], [(4, 4)], r"`prompts` must be .* got shape \(3, 1, 4\)"),
        ((3, 6, 4), [], [], r"at least one, got 0 and 0"),
        ((3, 6, 4), [(4, 4)], [(4, 4)] * 2, r"one matrix for each layer.* got 1 and 2"),
        ((3, 6, 4), [(4, 4), (4, 3)], [(4, 4)] * 2, r"`values\[1\]` must be \(4, 4\).*\(4, 3\)"),
        ((3, 6, 4), [(4, 4)], [(5, 5)], r"`key_queries\[0\]` must be \(4, 4\).*\(5, 5\)"),
    ],
)
def test_bad_shapes(prompts, values, key_queries, message):
    with pytest.raises(ValueError, match=message):
        gram_recursion(np.ones(prompts), [*map(np.ones, values)], [*map(np.ones, key_queries)])


@pytest.mark.parametrize("argument", ["prompts", "values", "key_queries"])
@pytest.mark.parametrize("value", [None, "x", 1.0, {}, np.ones((2, 3, 4), "int32")], ids=repr)
def test_what_is_no_tensor_of_floats(argument, value):
    good = {
        "prompts": np.ones((2, 3, 4), "float32"),
        "values": [np.eye(4, dtype="float32")] * 2,
        "key_queries": [np.eye(4, dtype="float32")] * 2,
    }
    with pytest.raises(ValueError, match=f"`{argument}"):
        gram_recursion(**good | {argument: value})


def test_several_dtypes():
    given = np.ones((2, 3, 4), "float32"), [np.eye(4)], [np.eye(4, dtype="float32")]
    with pytest.raises(ValueError, match=r"`values\[0\]` must be .* of float32.* of float64"):
        gram_recursion(*given)
