import keras
import numpy as np
import pytest

from wdattn.diagnostics import gradient_norm


def test_equals_the_closed_form(linear, rng, squared):
    x, y, (w,) = rng.normal(size=(7, 3)), rng.normal(size=(7, 1)), linear.get_weights()
    expected = np.linalg.norm(2 * x.T @ (x @ w - y) / 7)
    assert gradient_norm(linear, x, y, squared) == pytest.approx(expected, rel=1e-10)


def test_is_over_all_variables(transformer, squared):
    model, x, y = transformer
    step, total = 1e-4, 0.0
    start = model.get_weights()
    for place, weight in enumerate(start):
        for entry in np.ndindex(weight.shape):
            losses = []
            for sign in (1, -1):
                moved = [w.copy() for w in start]
                moved[place][entry] += sign * step
                model.set_weights(moved)
                outputs = keras.ops.convert_to_numpy(model(x, training=False))
                losses.append(np.mean((y - outputs) ** 2))
            total += ((losses[0] - losses[1]) / (2 * step)) ** 2
    model.set_weights(start)
    assert gradient_norm(model, x, y, squared) == pytest.approx(total**0.5, rel=1e-5)


def test_leaves_the_model_alone(transformer, squared):
    model, x, y = transformer
    before = model.get_weights()
    gradient_norm(model, x, y, squared)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_needs_a_loss(linear, rng):
    with pytest.raises(ValueError, match="`loss` is None"):
        gradient_norm(linear, rng.normal(size=(2, 3)), rng.normal(size=(2, 1)))
