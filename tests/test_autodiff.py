"""The derivatives of Keras models, through stock layers, held to float64 central differences."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras.src.backend.common import dtypes

from wdattn import autodiff


@pytest.fixture(autouse=True)
def keras_in_float64(monkeypatch):
    """On JAX and PyTorch Keras casts float64 to float32 in many operations; here it must not."""
    monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")


def flat(tensors):
    return np.concatenate([np.ravel(ops.convert_to_numpy(tensor)) for tensor in tensors])


def like(variables, vector):
    """A flat vector as a list of arrays shaped like the variables."""
    ends = np.cumsum([np.prod(variable.shape, dtype=int) for variable in variables])
    parts = np.split(vector, ends[:-1])
    return [part.reshape(v.shape) for part, v in zip(parts, variables, strict=True)]


def put(variables, vector):
    for variable, value in zip(variables, like(variables, vector), strict=True):
        variable.assign(value)


def difference(function, variables, direction, step):
    """d/dt of a function of the variables along a direction, with error O(step^4)."""
    start, sides = flat(variables), []
    step = step / np.linalg.norm(direction)
    for t in (-2, -1, 1, 2):
        put(variables, start + t * step * direction)
        sides.append(function())
    put(variables, start)
    return np.einsum("s,s...->...", np.array([1, -8, 8, -1]) / (12 * step), np.stack(sides))


class Case:
    """A classifier of token sequences, its loss, and how exactly a difference can know it."""

    def __init__(self, rng, attention):
        kind = {"dtype": "float64"}
        tokens = keras.Input((3,), dtype="int32")
        x = layers.Embedding(5, 4, **kind)(tokens)
        x = layers.LayerNormalization(**kind)(x)
        if attention:
            x = x + layers.MultiHeadAttention(2, 2, **kind)(x, x)
        x = layers.GroupNormalization(2, **kind)(x)
        x = layers.Dense(4, activation="gelu", **kind)(x)
        x = layers.BatchNormalization(**kind)(x)
        x = layers.Dense(3, **kind)(layers.GlobalAveragePooling1D(**kind)(x))
        self.model = keras.Model(tokens, x)
        self.variables = self.model.trainable_variables
        self.size = sum(int(np.prod(variable.shape)) for variable in self.variables)
        put(self.variables, rng.normal(size=self.size) / 2)
        self.data = rng.integers(0, 5, (6, 3)), rng.integers(0, 3, 6)
        # JAX's attention computes its softmax in float32: a larger step, and fewer digits.
        self.step, self.tolerance = (1e-2, 1e-4) if attention else (1e-3, 1e-8)

    def logits(self, x):
        return self.model(x, training=True)

    def loss(self, x, y):
        cross_entropy = keras.losses.sparse_categorical_crossentropy
        return ops.mean(cross_entropy(y, self.logits(x), from_logits=True))

    def difference(self, function, direction):
        return difference(function, self.variables, direction, self.step)

    def close(self, got, wanted):
        error = np.abs(got - wanted).max() / np.abs(wanted).max()
        assert error < self.tolerance


@pytest.fixture(params=[False, True], ids=["norms", "attention"])
def case(rng, request):
    return Case(rng, attention=request.param)


def test_value_and_gradient_through_stock_layers(rng, case):
    derivative = autodiff.value_and_grad(case.loss, case.variables)
    value, gradients = derivative(*case.data)
    plain = ops.convert_to_numpy(case.loss(*case.data))
    np.testing.assert_allclose(ops.convert_to_numpy(value), plain, rtol=1e-6)
    assert [tuple(g.shape) for g in gradients] == [tuple(v.shape) for v in case.variables]
    for _ in range(3):
        direction = rng.normal(size=case.size)
        slope = case.difference(lambda: flat([derivative(*case.data)[0]]), direction)
        case.close(flat(gradients) @ direction, slope)


def test_hvp_through_stock_layers(rng, case):
    """A central difference of gradients; TensorFlow's own answer is 200 % off here."""
    derivative = autodiff.value_and_grad(case.loss, case.variables)
    product = autodiff.hvp(case.loss, case.variables)
    for _ in range(2):
        direction = rng.normal(size=case.size)
        wanted = case.difference(lambda: flat(derivative(*case.data)[1]), direction)
        case.close(flat(product(like(case.variables, direction), *case.data)), wanted)


def test_jvp_and_vjp_through_stock_layers(rng, case):
    direction, (x, _) = rng.normal(size=case.size), case.data
    outputs, tangents = autodiff.jvp(case.logits, case.variables)(
        like(case.variables, direction), x
    )
    outputs_again, pullback = autodiff.vjp(case.logits, case.variables)(x)
    for logits in (outputs, outputs_again):
        case.close(flat([logits]), flat([case.logits(x)]))
    case.close(flat([tangents]), case.difference(lambda: flat([case.logits(x)]), direction))
    cotangent = rng.normal(size=tuple(outputs.shape))
    left = np.sum(cotangent * ops.convert_to_numpy(tangents))
    np.testing.assert_allclose(flat(pullback(cotangent)) @ direction, left, rtol=1e-5)


def test_vmap_of_hvp_over_a_basis_is_the_dense_hessian(rng):
    """It is symmetric, and some of its columns are held to central differences."""
    case = Case(rng, attention=False)
    derivative = autodiff.value_and_grad(case.loss, case.variables)
    places = rng.choice(case.size, 12, replace=False)
    columns = [
        case.difference(lambda: flat(derivative(*case.data)[1]), direction)
        for direction in np.eye(case.size)[places]
    ]
    products = autodiff.jit(
        autodiff.vmap(autodiff.hvp(case.loss, case.variables), in_axes=(0, None, None))
    )
    basis = [
        np.stack(rows)
        for rows in zip(*(like(case.variables, row) for row in np.eye(case.size)), strict=True)
    ]
    hessian = np.concatenate(
        [ops.convert_to_numpy(rows).reshape(case.size, -1) for rows in products(basis, *case.data)],
        axis=1,
    )
    case.close(hessian[:, places], np.stack(columns, 1))
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12 * np.abs(hessian).max())


def test_vmap_of_value_and_grad_over_batches_is_the_single_calls(rng):
    case = Case(rng, attention=False)
    derivative = autodiff.value_and_grad(case.loss, case.variables)
    x, y = rng.integers(0, 5, (2, 6, 3)), rng.integers(0, 3, (2, 6))
    values, gradients = autodiff.vmap(derivative)(x, y)
    for row in range(2):
        value, single = derivative(x[row], y[row])
        case.close(flat([values[row]]), flat([value]))
        case.close(flat([g[row] for g in gradients]), flat(single))


def test_a_gradient_inside_the_loss_is_differentiated(rng):
    """|grad|^2 has the gradient 2 H grad, through the norms and in both sets of variables."""
    case = Case(rng, attention=False)
    first, rest = case.variables[:3], case.variables[3:]
    inner = autodiff.value_and_grad(case.loss, rest)

    def penalty(x, y):
        return sum(ops.sum(gradient**2) for gradient in inner(x, y)[1])

    inner(*case.data)  # compiled before: it must not remember today's variables
    gradient = [*(np.zeros(v.shape) for v in first), *inner(*case.data)[1]]
    wanted = autodiff.hvp(case.loss, case.variables)(gradient, *case.data)
    _, got = autodiff.value_and_grad(penalty, case.variables)(*case.data)
    case.close(flat(got), 2 * flat(wanted))


@pytest.mark.parametrize("trainable", [False, True])
def test_variables_that_are_not_listed_are_read_at_each_call(trainable):
    """On JAX a compiled function would otherwise keep what they were at the first call."""
    x = keras.Variable([1.0, 2.0])
    scale = keras.Variable(3.0, trainable=trainable)

    def loss():
        return scale * ops.sum(x**2)

    value_and_grad = autodiff.value_and_grad(loss, [x])
    jvp, vjp, hvp = (f(loss, [x]) for f in (autodiff.jvp, autodiff.vjp, autodiff.hvp))
    for factor in (3.0, 5.0):
        scale.assign(factor)
        value, gradients = value_and_grad()
        _, pullback = vjp()
        np.testing.assert_allclose(flat([value]), 5 * factor)
        np.testing.assert_allclose(flat(gradients), factor * np.array([2, 4]))
        np.testing.assert_allclose(flat([jvp([[1, 1]])[1]]), 6 * factor)
        np.testing.assert_allclose(flat(pullback(1.0)), factor * np.array([2, 4]))
        np.testing.assert_allclose(flat(hvp([[1, 3]])), factor * np.array([2, 6]))


def test_a_pullback_belongs_to_the_weights_of_its_call():
    """Keras assigns in place on PyTorch, to listed variables and to others alike."""
    x, scale = keras.Variable([1.0, 2.0]), keras.Variable(3.0)
    _, pullback = autodiff.vjp(lambda: scale * ops.sum(x**2), [x])()
    x.assign([10.0, 20.0])
    scale.assign(30.0)
    np.testing.assert_allclose(flat(pullback(1.0)), [6, 12])


@pytest.mark.parametrize("seed", [None, 7])
def test_measuring_leaves_no_trace(rng, seed):
    model = keras.Sequential(
        [layers.Dense(4), layers.BatchNormalization(), layers.Dropout(0.5, seed=seed)]
    )
    model.add(layers.Dense(1))
    model.build((None, 3))
    x = rng.normal(size=(8, 3)).astype("float32")

    def loss(x):
        return ops.mean(model(x, training=True) ** 2)

    variables = model.trainable_variables
    vectors = [np.ones(variable.shape) for variable in variables]
    before = [ops.convert_to_numpy(v.value).copy() for v in model.variables]
    value_and_grad, hvp = autodiff.value_and_grad(loss, variables), autodiff.hvp(loss, variables)
    jvp, vjp = autodiff.jvp(loss, variables), autodiff.vjp(loss, variables)
    calls = [
        [value_and_grad(x), hvp(vectors, x), jvp(vectors, x), vjp(x)[1](1.0)] for _ in range(2)
    ]
    for first, second in zip(*(keras.tree.flatten(call) for call in calls), strict=True):
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (first, second)))
    for was, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable.value), was)
    assert any("seed" in variable.path for variable in model.variables)


def test_a_batch_is_an_argument_and_is_not_traced_again(rng):
    x = keras.Variable(rng.normal(size=3))
    traced = []

    def loss(batch):
        traced.append(batch)
        return ops.mean((batch * x) ** 2)

    derivative = autodiff.value_and_grad(loss, [x])
    derivative(rng.normal(size=(2, 3)))
    first = len(traced)
    values = [float(derivative(rng.normal(size=(2, 3)))[0]) for _ in range(3)]
    assert len(set(values)) == 3
    eager = 3 * first if keras.config.backend() == "torch" else 0
    assert len(traced) == first + eager


X = keras.Variable([1.0, 2.0])
WHOLE = keras.Variable([1, 2], dtype="int32", trainable=False)


def square():
    return ops.sum(X**2)


@pytest.mark.parametrize("name", ["value_and_grad", "hvp"])
@pytest.mark.parametrize("loss", [None, 3.0, "mse"], ids=repr)
def test_a_loss_that_is_not_callable_raises(name, loss):
    with pytest.raises(ValueError, match="`loss` must be callable, got"):
        getattr(autodiff, name)(loss, [X])


@pytest.mark.parametrize("name", ["jvp", "vjp", "vmap", "jit"])
def test_a_function_that_is_not_callable_raises(name):
    with pytest.raises(ValueError, match="`function` must be callable, got 3"):
        getattr(autodiff, name)(3, *([[X]] if name in ("jvp", "vjp") else []))


@pytest.mark.parametrize("name", ["value_and_grad", "hvp", "jvp", "vjp"])
@pytest.mark.parametrize(
    "variables", [[], None, X, [1.0], [X, X], [WHOLE], [np.ones(2)], [[X]]], ids=repr
)
def test_variables_of_another_kind_raise(name, variables):
    with pytest.raises(ValueError, match="`variables` must be a list of one or more floating"):
        getattr(autodiff, name)(square, variables)


@pytest.mark.parametrize(
    ("loss", "shown"),
    [(lambda: X**2, r"shape \(2,\)"), (lambda: 3.0, "3.0"), (lambda: None, "None")],
)
def test_a_loss_that_is_no_scalar_tensor_raises(loss, shown):
    with pytest.raises(ValueError, match=f"`loss` must return a scalar tensor, got {shown}"):
        autodiff.value_and_grad(loss, [X])()
    with pytest.raises(ValueError, match=f"`loss` must return a scalar tensor, got {shown}"):
        autodiff.hvp(loss, [X])([np.ones(2)])


@pytest.mark.parametrize("name", ["hvp", "jvp"])
@pytest.mark.parametrize(
    "vectors", [[], [np.ones(2)] * 2, [np.ones(3)], [np.ones((1, 2))], 1.0, None, ["a"]], ids=repr
)
def test_vectors_of_another_shape_raise(name, vectors):
    with pytest.raises(ValueError, match=r"`vectors` must have the shapes \[\(2,\)\]"):
        getattr(autodiff, name)(square, [X])(vectors)


@pytest.mark.parametrize("cotangents", [np.ones(2), [1.0], None], ids=repr)
def test_cotangents_of_another_shape_raise(cotangents):
    _, pullback = autodiff.vjp(square, [X])()
    with pytest.raises(ValueError, match=r"`cotangents` must have the shapes \(\)"):
        pullback(cotangents)
