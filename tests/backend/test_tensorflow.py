"""What TensorFlow gets wrong without a word, and that it cannot happen here."""

import threading
from functools import partial

import keras
import numpy as np
import pytest
from keras import ops

from wdattn import backend

if keras.config.backend() != "tensorflow":
    pytest.skip("TensorFlow's own faults", allow_module_level=True)

import tensorflow as tf

STOCK_MOMENTS = tf.nn.moments


def normalized(parameters):
    """A loss through the moments of its only parameter."""
    mean, variance = ops.moments(parameters[0], [-1], keepdims=True)
    return ops.sum(ops.sin((parameters[0] - mean) / ops.sqrt(variance + 0.1)))


def resized(parameters):
    wide = tf.image.resize(parameters[0][None, :, :, None], (5, 7))
    return tf.cast(tf.reduce_sum(wide**3), "float64")


@pytest.fixture
def point(rng):
    return [tf.constant(rng.normal(size=(3, 4)))], [tf.constant(rng.normal(size=(3, 4)))]


def difference(function, parameters, vectors, step=1e-5):
    """The Hessian's product by a central difference of gradients."""
    gradient = backend.value_and_grad(function)
    (x,), (v,) = parameters, vectors
    forth, back = gradient([x + step * v])[1][0], gradient([x - step * v])[1][0]
    return (forth - back) / (2 * step)


def naive(function, parameters, vectors):
    with tf.GradientTape() as outer:
        outer.watch(parameters)
        with tf.GradientTape() as inner:
            inner.watch(parameters)
            value = function(parameters)
        gradient = inner.gradient(value, parameters)
    return outer.gradient(gradient, parameters, vectors)


def test_a_tape_over_a_tape_is_wrong_through_moments(point):
    """When this fails, TensorFlow has been mended, and the substitute can go."""
    wanted = difference(normalized, *point).numpy()
    (product,) = naive(normalized, *point)
    assert np.abs(product - wanted).max() > 0.05 * np.abs(wanted).max()


def test_a_tape_over_a_tape_is_wrong_through_a_bilinear_resize(point):
    """When this fails, TensorFlow has been mended, and the refusal can go."""
    (product,) = naive(lambda p: tf.reduce_sum(resized(p)), *point)
    wanted = difference(resized, *point, step=1e-2)  # the resize computes in float32
    assert np.abs(wanted).max() > 1
    assert product is None or np.abs(product - wanted).max() > 0.05 * np.abs(wanted).max()


@pytest.mark.parametrize("wrap", [lambda f: f, backend.jit], ids=["plain", "jit"])
@pytest.mark.parametrize("axes", [[-1], [0], [0, 1]], ids=str)
def test_ours_is_right_through_moments(point, axes, wrap):
    def function(parameters):
        mean, variance = tf.nn.moments(parameters[0], axes)
        return tf.reduce_sum(tf.sin(mean) * tf.sqrt(variance))

    (product,) = wrap(backend.hvp(function))(*point)
    np.testing.assert_allclose(product, difference(function, *point), atol=1e-8)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_the_substitute_has_the_values_of_the_original(rng, dtype):
    x = tf.constant(rng.normal(size=(3, 4, 5)), dtype)
    for axes, keepdims in [([0], False), ([-1], True), ([0, 2], False), ([0, 2], True)]:
        stock = tf.nn.moments(x, axes, keepdims=keepdims)
        ours, _ = backend.vjp(lambda p, *how: tf.nn.moments(p[0], *how))([x], axes, None, keepdims)
        for one, other in zip(ours, stock, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def gradient(function, parameters):
    return backend.value_and_grad(function)(parameters)[1]


SECOND = {
    "hvp": lambda f, p, v: backend.hvp(f)(p, v),
    "gradient of a gradient": lambda f, p, v: gradient(
        lambda p: tf.reduce_sum(gradient(f, p)[0] * v[0]), p
    ),
    "jvp of a gradient": lambda f, p, v: backend.jvp(lambda p: gradient(f, p))(p, v)[1],
    "vjp of a gradient": lambda f, p, v: backend.vjp(lambda p: gradient(f, p))(p)[1](v),
    "gradient of a jvp": lambda f, p, v: gradient(lambda p: backend.jvp(f)(p, v)[1], p),
    "vmap of hvp": lambda f, p, v: backend.vmap(backend.hvp(f), in_axes=(None, 0))(p, [v[0][None]]),
}


@pytest.mark.parametrize("wrap", [lambda f: f, backend.jit], ids=["plain", "jit"])
@pytest.mark.parametrize("second", SECOND.values(), ids=SECOND)
def test_moments_traced_before_are_refused(point, second, wrap):
    traced = tf.function(normalized)
    traced(point[0])
    within = tf.function(lambda p: 2 * traced(p))
    within(point[0])
    for function in (traced, within, lambda p: traced(p) + 1):
        with pytest.raises(ValueError, match="second derivative would be wrong"):
            wrap(partial(second, function))(*point)


@pytest.mark.parametrize("second", SECOND.values(), ids=SECOND)
def test_every_second_derivative_of_the_python_function_is_right(point, second):
    product = second(normalized, *point)[0]
    np.testing.assert_allclose(tf.squeeze(product), difference(normalized, *point), atol=1e-8)


def test_moments_in_a_loop_traced_before_are_refused(point):
    @tf.function
    def loop(parameters):
        total = tf.constant(0.0, "float64")
        for _ in tf.range(2):
            total += normalized(parameters)
        return total

    loop(point[0])
    with pytest.raises(ValueError, match="second derivative would be wrong"):
        backend.hvp(loop)(*point)


def test_first_derivatives_of_moments_traced_before_are_right(point):
    traced = tf.function(normalized)
    traced(point[0])
    wanted = backend.value_and_grad(normalized)(point[0])[1][0]
    np.testing.assert_allclose(backend.value_and_grad(traced)(point[0])[1][0], wanted, rtol=1e-12)
    slope = backend.jvp(traced)(*point)[1]
    np.testing.assert_allclose(slope, tf.reduce_sum(wanted * point[1][0]), rtol=1e-12)


def test_moments_traced_by_jit_are_right(point):
    compiled = backend.jit(normalized)
    compiled(point[0])
    (product,) = backend.hvp(compiled)(*point)
    np.testing.assert_allclose(product, difference(normalized, *point), atol=1e-8)


def test_a_gradient_stopped_on_purpose_is_not_refused(point):
    """softmax's log-sum-exp stops one too, and is right."""

    def function(parameters):
        (x,) = parameters
        return tf.reduce_sum(tf.stop_gradient(x) * x**2) + tf.reduce_sum(tf.reduce_logsumexp(x, 1))

    (product,) = backend.hvp(function)(*point)
    (x,), (v,) = point
    p = tf.nn.softmax(x)
    wanted = 2 * x * v + p * v - p * tf.reduce_sum(p * v, 1, keepdims=True)
    np.testing.assert_allclose(product, wanted, rtol=1e-12)


@pytest.mark.parametrize("wrap", [lambda f: f, backend.jit], ids=["plain", "jit"])
def test_a_bilinear_resize_is_refused_where_it_would_be_wrong(point, wrap):
    backend.value_and_grad(resized)(point[0])
    for derivative in (*SECOND.values(), lambda f, p, v: backend.jvp(f)(p, v)):
        with pytest.raises(ValueError, match="bilinear resize"):
            wrap(partial(derivative, resized))(*point)


@pytest.mark.parametrize("wrap", [lambda f: f, backend.jit], ids=["plain", "jit"])
def test_a_bilinear_resize_of_the_data_is_right_and_not_refused(point, wrap):
    """As in a model that begins with `keras.layers.Resizing`: no parameter moves the resize."""
    image = np.random.default_rng(3).normal(size=(2, 5, 1)).astype("float32")
    wide = tf.cast(tf.image.resize(image, (3, 4))[..., 0], "float64").numpy()

    def function(parameters, image):
        (x,) = parameters
        return tf.reduce_sum(x**3 * tf.cast(tf.image.resize(image, (3, 4))[..., 0], x.dtype))

    (x,), (v,) = point
    for derivative in SECOND.values():
        (product,) = wrap(partial(derivative, lambda p: function(p, image)))(*point)
        found = np.reshape(product, x.shape)  # one of them maps over a single vector
        np.testing.assert_allclose(found, 6 * x * v * wide, rtol=1e-6)
    _, tangents = wrap(backend.jvp(function))([x], [v], image)
    np.testing.assert_allclose(tangents, np.sum(3 * x**2 * v * wide), rtol=1e-6)


def test_a_resize_that_parameters_move_in_a_function_of_its_own_is_refused(point):
    compiled = tf.function(resized)
    with pytest.raises(ValueError, match="bilinear resize"):
        backend.hvp(lambda parameters: compiled([2.0 * parameters[0]]))(*point)


def test_moments_are_put_back(point):
    backend.jit(backend.hvp(normalized))(*point)
    assert tf.nn.moments is STOCK_MOMENTS

    def fails(parameters):
        raise KeyError

    with pytest.raises(KeyError):
        backend.hvp(fails)(*point)
    assert tf.nn.moments is STOCK_MOMENTS


def test_moments_are_put_back_when_threads_cross(point):
    """The first to come leaves while the second is still inside."""
    entered, left, seen = threading.Event(), threading.Event(), []

    def first(parameters):
        seen.append(tf.nn.moments)
        entered.wait(60)
        return normalized(parameters)

    def second(parameters):
        entered.set()
        left.wait(60)
        seen.append(tf.nn.moments)
        return normalized(parameters)

    def run(function, then):
        backend.value_and_grad(function)(point[0])
        then()

    threads = [
        threading.Thread(target=run, args=(first, left.set)),
        threading.Thread(target=run, args=(second, lambda: None)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert STOCK_MOMENTS not in seen
    assert len(seen) == 2
    assert tf.nn.moments is STOCK_MOMENTS
