"""The derivatives of pure functions, held to closed forms, and what happens when they compose."""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn import backend


def numpy(tree):
    return keras.tree.map_structure(ops.convert_to_numpy, tree)


def close(got, wanted, rtol=1e-12, atol=1e-12):
    got, wanted = keras.tree.flatten(numpy(got)), keras.tree.flatten(numpy(wanted))
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


def tensors(*arrays):
    return [ops.convert_to_tensor(array, dtype="float64") for array in arrays]


@pytest.fixture
def quadratic(rng):
    """f(w, b; A) = w^T A w / 2 + sum(b)^3 with an A that is not symmetric."""
    w, b, v, c, matrix = tensors(*(rng.normal(size=s) for s in (4, 3, 4, 3, (4, 4))))

    def function(parameters, matrix):
        return (
            ops.dot(parameters[0], ops.dot(matrix, parameters[0])) / 2 + ops.sum(parameters[1]) ** 3
        )

    return function, [w, b], [v, c], matrix


def test_value_and_grad_is_the_closed_form(quadratic):
    function, (w, b), _, matrix = quadratic
    value, gradients = backend.value_and_grad(function)([w, b], matrix)
    w, b, matrix = numpy((w, b, matrix))
    close(value, w @ matrix @ w / 2 + b.sum() ** 3)
    close(gradients, [(matrix + matrix.T) @ w / 2, np.full(3, 3 * b.sum() ** 2)])


def test_hvp_is_the_closed_form(quadratic):
    function, parameters, vectors, matrix = quadratic
    products = backend.hvp(function)(parameters, vectors, matrix)
    (_, b), (v, c), matrix = numpy((parameters, vectors, matrix))
    close(products, [(matrix + matrix.T) @ v / 2, np.full(3, 6 * b.sum() * c.sum())])


def test_jvp_and_vjp_take_nests_and_are_each_others_transpose(rng):
    jacobian = rng.normal(size=(5, 4))
    w, v, u = tensors(*(rng.normal(size=s) for s in (4, 4, 5)))

    def function(parameters, matrix):
        return {"linear": ops.dot(matrix, parameters[0]), "square": ops.sum(parameters[0] ** 2)}

    (matrix,) = tensors(jacobian)
    outputs, tangents = backend.jvp(function)([w], [v], matrix)
    w_, v_, u_ = numpy((w, v, u))
    close(outputs, {"linear": jacobian @ w_, "square": w_ @ w_})
    close(tangents, {"linear": jacobian @ v_, "square": 2 * w_ @ v_})
    outputs, pullback = backend.vjp(function)([w], matrix)
    cotangents = {"linear": u, "square": ops.ones_like(outputs["square"]) * 3}
    close(pullback(cotangents), [jacobian.T @ u_ + 6 * w_])


def test_aux_comes_back_beside_the_value(quadratic):
    function, parameters, _, matrix = quadratic

    def with_aux(parameters, matrix):
        return function(parameters, matrix), [parameters[0] * 2, {"matrix": matrix}]

    (value, aux), gradients = backend.value_and_grad(with_aux, has_aux=True)(parameters, matrix)
    close(
        [value, *gradients],
        keras.tree.flatten(backend.value_and_grad(function)(parameters, matrix)),
    )
    close(aux, [numpy(parameters[0]) * 2, {"matrix": matrix}])


def test_an_unused_parameter_has_zeros(quadratic):
    _, parameters, vectors, _ = quadratic

    def first(parameters):
        return ops.sum(parameters[0] ** 2)

    zeros = np.zeros(3)
    _, gradients = backend.value_and_grad(first)(parameters)
    close(gradients, [2 * numpy(parameters[0]), zeros])
    close(backend.hvp(first)(parameters, vectors), [2 * numpy(vectors[0]), zeros])
    close(backend.jvp(first)(parameters, vectors)[1], 2 * numpy(parameters[0]) @ numpy(vectors[0]))
    outputs, pullback = backend.vjp(first)(parameters)
    close(pullback(ops.ones_like(outputs)), gradients)


def test_a_constant_that_is_also_a_parameter_stays_constant(rng):
    x, v = tensors(*rng.normal(size=(2, 3)))

    def function(parameters):
        return ops.sum(x**2 * parameters[0] ** 2)

    close(backend.value_and_grad(function)([x])[1], [2 * numpy(x) ** 3])
    close(backend.hvp(function)([x], [v]), [2 * numpy(x) ** 2 * numpy(v)])


def test_looking_up_rows_gives_dense_derivatives(rng):
    """TensorFlow hands out IndexedSlices here."""
    table, vector = tensors(*rng.normal(size=(2, 5, 2)))
    rows = np.array([0, 3, 3])

    def function(parameters):
        return ops.sum(ops.take(parameters[0], rows, axis=0) ** 3)

    counts = np.array([1, 0, 0, 2, 0])[:, None]
    _, gradients = backend.value_and_grad(function)([table])
    close(gradients, [3 * counts * numpy(table) ** 2])
    close(backend.hvp(function)([table], [vector]), [6 * counts * numpy(table * vector)])


@pytest.mark.parametrize("wrap", [lambda f: f, backend.jit], ids=["plain", "jit"])
def test_vmap_over_parameters_and_data_is_the_single_calls(rng, wrap):
    weights, biases, x = tensors(*(rng.normal(size=s) for s in ((3, 4, 2), (3, 2), (3, 6, 4))))

    def function(parameters, x, scale):
        return ops.mean(ops.exp(x @ parameters[0] + parameters[1])) * scale["scale"]

    derivative = backend.value_and_grad(function)
    (scale,) = tensors(2.0)
    together = wrap(backend.vmap(derivative, in_axes=(0, 0, None)))(
        [weights, biases], x, {"scale": scale}
    )
    single = [derivative([weights[r], biases[r]], x[r], {"scale": scale}) for r in range(3)]
    stacked = keras.tree.map_structure(
        lambda *rows: np.stack([numpy(row) for row in rows]), *single
    )
    close(together, stacked)
    shared = backend.vmap(derivative, in_axes=(None, 0, None))
    one = shared([weights[1], biases[1]], x, {"scale": scale})
    close(one[0][1], single[1][0])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_vmap_over_any_axis(rng, axis):
    matrix, vector = rng.normal(size=(3, 3)), rng.normal(size=3)
    mapped = backend.vmap(lambda x, y: ops.sum(x * y), in_axes=(axis, None))
    close(mapped(*tensors(matrix, vector)), np.moveaxis(matrix, axis, 0) @ vector)


@pytest.mark.parametrize(
    ("in_axes", "shapes"), [(0, ((2,), (3,))), (0, ((1,), (3,))), ((None, None), ((2,), (2,)))]
)
def test_vmap_without_one_common_length_raises(rng, in_axes, shapes):
    arguments = tensors(*(rng.normal(size=shape) for shape in shapes))
    with pytest.raises(ValueError, match="vmap|axes"):
        backend.vmap(lambda x, y: x + y, in_axes)(*arguments)


@pytest.mark.parametrize("wrap", [lambda f: f, backend.jit], ids=["plain", "jit"])
def test_vmap_of_hvp_over_a_basis_is_the_hessian(quadratic, wrap):
    function, parameters, _, matrix = quadratic
    basis = tensors(np.eye(7)[:, :4], np.eye(7)[:, 4:])
    rows = wrap(backend.vmap(backend.hvp(function), in_axes=(None, 0, None)))(
        parameters, basis, matrix
    )
    hessian = np.zeros((7, 7))
    hessian[:4, :4] = (numpy(matrix) + numpy(matrix).T) / 2
    hessian[4:, 4:] = 6 * numpy(parameters[1]).sum()
    close(np.concatenate(numpy(rows), 1), hessian)


def test_a_derivative_of_a_derivative_is_the_closed_form(quadratic):
    """|grad|^2 has the gradient 2 H grad."""
    function, parameters, vectors, matrix = quadratic
    inner = backend.value_and_grad(function)

    def penalty(parameters, matrix):
        return sum(ops.sum(g**2) for g in inner(parameters, matrix)[1])

    gradient = inner(parameters, matrix)[1]
    doubled = [2 * product for product in backend.hvp(function)(parameters, gradient, matrix)]
    close(backend.value_and_grad(penalty)(parameters, matrix)[1], doubled)
    along = sum(float(ops.sum(d * v)) for d, v in zip(doubled, vectors, strict=True))
    close(backend.jvp(penalty)(parameters, vectors, matrix)[1], along)


def test_fused_attention_has_every_derivative(rng):
    """PyTorch's has no second one, so a derivative of a derivative goes through the plain one."""
    x, v = tensors(*rng.normal(size=(2, 2, 4, 2, 3)))

    def function(parameters):
        return ops.sum(ops.dot_product_attention(x, parameters[0], x) ** 2)

    gradient = backend.value_and_grad(function)
    (product,) = backend.hvp(function)([x], [v])
    step = 1e-2  # JAX computes the softmax in float32
    sides = [numpy(gradient([x + t * step * v])[1][0]) for t in (-2, -1, 1, 2)]
    wanted = np.einsum("s,s...->...", np.array([1, -8, 8, -1]) / (12 * step), sides)
    np.testing.assert_allclose(numpy(product), wanted, atol=1e-4 * np.abs(wanted).max())
    _, tangent = backend.jvp(lambda p: gradient(p)[1][0])([x], [v])
    penalty = backend.value_and_grad(lambda p: ops.sum(gradient(p)[1][0] * v))
    for other in (tangent, penalty([x])[1][0]):
        np.testing.assert_allclose(numpy(other), numpy(product), atol=1e-4)


def test_keras_layers_take_part_through_a_scope(rng):
    layer = keras.layers.Dense(2, dtype="float64")
    layer.build((None, 3))
    x, kernel, bias = tensors(*(rng.normal(size=s) for s in ((5, 3), (3, 2), 2)))

    def function(parameters, x):
        with backend.LiveScope(zip(layer.trainable_variables, parameters, strict=True)):
            return ops.sum(layer(x) ** 2)

    before = layer.get_weights()
    _, gradients = backend.value_and_grad(function)([kernel, bias], x)
    residual = numpy(x) @ numpy(kernel) + numpy(bias)
    close(gradients, [2 * numpy(x).T @ residual, 2 * residual.sum(0)])
    close(layer.get_weights(), before)


def test_vmap_takes_attention(rng):
    layer = keras.layers.MultiHeadAttention(2, 4)
    x = ops.convert_to_tensor(rng.normal(size=(3, 2, 5, 8)), "float32")
    layer.build(x.shape[1:], x.shape[1:])
    mapped = backend.vmap(lambda one: layer(one, one))(x)
    # Two float32 kernels, the fused and the plain one, that sum in another order.
    close(mapped, ops.stack([layer(one, one) for one in x]), rtol=1e-4, atol=1e-6)
