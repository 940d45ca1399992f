"""The formulas against `torch.optim`, optax and NumPy, entry by entry."""

import keras
import numpy as np
import optax
import pytest
import torch
from keras.ops import convert_to_numpy, convert_to_tensor

from wdattn import backend
from wdattn.optimizers import update_rules
from wdattn.optimizers.update_rules import SGD, Adam, clip_by_global_norm, descend

STEPS, SHAPE, RATE = 100, (3, 4), 0.01

# Round-off of 100 steps in float64. The floor is for parameters of size 1 that cross zero.
CLOSE = {"rtol": 1e-12, "atol": 1e-15}

RULES = {"adam": Adam(), "sgd": SGD(), "momentum": SGD(momentum=0.9)}


def gradients(rng, scale, dtype):
    return (scale * rng.normal(size=(STEPS, *SHAPE))).astype(dtype)


def zeros(rule, like):
    return tuple(keras.ops.zeros_like(like) for _ in range(rule.slots))


def ours(rule, start, gradients, decay=0.0):
    """Every parameter on the way."""
    parameter, path = convert_to_tensor(start), []
    slots = zeros(rule, parameter)
    for step, gradient in enumerate(gradients, start=1):
        direction, slots = rule(convert_to_tensor(gradient), slots, step)
        parameter = descend(parameter, direction, RATE, decay)
        path.append(convert_to_numpy(parameter))
    return np.stack(path)


def of_torch(optimizer, start, gradients, **arguments):
    parameter, path = torch.nn.Parameter(torch.tensor(start, device="cpu")), []
    optimizer = optimizer([parameter], lr=RATE, foreach=False, **arguments)
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient, device="cpu")
        optimizer.step()
        path.append(parameter.detach().numpy().copy())
    return np.stack(path)


def of_optax(optimizer, start, gradients, **arguments):
    optimizer, parameter, path = optimizer(RATE, **arguments), start, []
    state = optimizer.init(parameter)
    for gradient in gradients:
        updates, state = optimizer.update(gradient, state, parameter)
        parameter = np.asarray(optax.apply_updates(parameter, updates))
        path.append(parameter)
    return np.stack(path)


@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6])
def test_adam_is_that_of_torch_and_optax(rng, scale, epsilon):
    start, steps = rng.normal(size=SHAPE), gradients(rng, scale, "float64")
    path = ours(Adam(0.9, 0.999, epsilon), start, steps)
    np.testing.assert_allclose(path, of_torch(torch.optim.Adam, start, steps, eps=epsilon), **CLOSE)
    np.testing.assert_allclose(path, of_optax(optax.adam, start, steps, eps=epsilon), **CLOSE)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_that_of_torch_and_optax(rng, momentum):
    start, steps = rng.normal(size=SHAPE), gradients(rng, 1.0, "float64")
    path = ours(SGD(momentum), start, steps)
    np.testing.assert_allclose(
        path, of_torch(torch.optim.SGD, start, steps, momentum=momentum), **CLOSE
    )
    np.testing.assert_allclose(path, of_optax(optax.sgd, start, steps, momentum=momentum), **CLOSE)


@pytest.mark.parametrize("decay", [0.0, 0.1, 3.0])
def test_decay_is_that_of_adamw(rng, decay):
    start, steps = rng.normal(size=SHAPE), gradients(rng, 1.0, "float64")
    path = ours(Adam(), start, steps, decay)
    np.testing.assert_allclose(
        path, of_torch(torch.optim.AdamW, start, steps, weight_decay=decay), **CLOSE
    )
    np.testing.assert_allclose(
        path, of_optax(optax.adamw, start, steps, weight_decay=decay), **CLOSE
    )


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6])
def test_float32_follows_float64(rng, name, scale):
    rule = RULES[name]
    start, steps = rng.normal(size=SHAPE).astype("float32"), gradients(rng, scale, "float32")
    exact = ours(rule, start.astype("float64"), steps.astype("float64"), decay=0.1)
    path = ours(rule, start, steps, decay=0.1)
    assert path.dtype == np.float32
    # 100 steps add an error of at most half a unit of 1.2e-7 each, of random sign: 6e-7 at most.
    assert np.linalg.norm(path[-1] - exact[-1]) <= 1e-6 * np.linalg.norm(exact[-1])


@pytest.mark.parametrize("name", RULES)
def test_replicas_in_front_do_not_mix(rng, name):
    rule, steps = RULES[name], gradients(rng, 1.0, "float64")
    start = rng.normal(size=SHAPE)
    stacked = ours(rule, start, steps)
    for replica in range(SHAPE[0]):
        alone = ours(rule, start[replica], steps[:, replica])
        # A vector of another length may be summed in other instructions; nothing else differs.
        np.testing.assert_allclose(stacked[:, replica], alone, rtol=1e-14)


def test_first_direction_of_adam_is_the_sign(rng):
    gradient = convert_to_tensor(rng.normal(size=SHAPE))
    direction, _ = Adam(0.9, 0.999, 1e-30)(gradient, zeros(Adam(), gradient), 1)
    np.testing.assert_allclose(convert_to_numpy(direction), np.sign(convert_to_numpy(gradient)),
                               rtol=1e-12)  # fmt: skip


@pytest.mark.parametrize("step", [1, 1.0, np.asarray(1, "int32"), np.asarray(1, "float32")])
def test_bias_correction_keeps_float32s_digits(step):
    """1 - 0.999^1 rounds to 0.00099998713 in float32, a relative error of 1.3e-5."""
    one = convert_to_tensor(np.ones(1, "float32"))
    direction, _ = Adam(0.9, 0.999)(one, zeros(Adam(), one), step)
    np.testing.assert_allclose(convert_to_numpy(direction), 1.0, rtol=3e-7)


def test_beta_of_zero_forgets(rng):
    steps = gradients(rng, 1.0, "float64")[:3]
    path = ours(Adam(0.0, 0.0, 1e-8), np.zeros(SHAPE), steps)
    np.testing.assert_allclose(np.diff(path, axis=0), -RATE * np.sign(steps[1:]), rtol=1e-5)


def literal_clip(gradients, norm):
    length = np.sqrt(sum(np.sum(np.square(np.asarray(g, "longdouble"))) for g in gradients))
    return [np.asarray(g * min(1, norm / length)) for g in gradients]


@pytest.mark.parametrize("norm", [1e-3, 1.0, 5.0, 1e3, np.inf])
def test_clip_equals_the_formula(rng, norm):
    both = [rng.normal(size=(4, 3)), rng.normal(size=5)]
    clipped = clip_by_global_norm([convert_to_tensor(g) for g in both], norm)
    for mine, expected in zip(clipped, literal_clip(both, norm), strict=True):
        np.testing.assert_allclose(convert_to_numpy(mine), expected.astype("float64"), rtol=1e-14)


def test_clip_leaves_a_short_gradient_to_the_bit(rng):
    gradient = rng.normal(size=7).astype("float32")
    (clipped,) = clip_by_global_norm([convert_to_tensor(gradient)], 1e3)
    np.testing.assert_array_equal(convert_to_numpy(clipped), gradient)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("scale", [1e-30, 1e30, 3e38])
def test_clip_neither_overflows_nor_underflows(scale, compiled):
    """The squares leave float32's range at 1.8e19 and 1e-19; at 3e38 the norm itself does."""
    clip = backend.jit(clip_by_global_norm) if compiled else clip_by_global_norm
    gradient = np.array([0.6, -0.8, 0.6], "float32") * np.float32(scale)
    (clipped,) = clip([convert_to_tensor(gradient)], convert_to_tensor(np.float32(scale / 100)))
    expected = literal_clip([gradient], scale / 100)[0].astype("float32")
    np.testing.assert_allclose(convert_to_numpy(clipped), expected, rtol=1e-6)


def test_clip_of_zero_is_zero():
    (clipped,) = clip_by_global_norm([convert_to_tensor(np.zeros(3, "float32"))], 1.0)
    np.testing.assert_array_equal(convert_to_numpy(clipped), 0.0)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_clip_does_not_hide_a_gradient_that_is_not_finite(bad):
    gradient = convert_to_tensor(np.array([1.0, bad], "float32"))
    (clipped,) = clip_by_global_norm([gradient], 1.0)
    assert not np.isfinite(convert_to_numpy(clipped)).all()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Adam(beta_1=1.0), r"`beta_1` must be a finite float >= 0 and < 1, got 1.0"),
        (lambda: Adam(beta_1=-0.1), r"`beta_1` must be a finite float >= 0 and < 1, got -0.1"),
        (lambda: Adam(beta_2=1.5), r"`beta_2` must be a finite float >= 0 and < 1, got 1.5"),
        (
            lambda: Adam(beta_2=float("nan")),
            r"`beta_2` must be a finite float >= 0 and < 1, got nan",
        ),
        (lambda: Adam(beta_2=None), r"`beta_2` must be a finite float >= 0 and < 1, got None"),
        (lambda: Adam(epsilon=0.0), "`epsilon` must be a finite float > 0, got 0.0"),
        (lambda: Adam(epsilon=float("inf")), "`epsilon` must be a finite float > 0, got inf"),
        (lambda: SGD(momentum=1.0), r"`momentum` must be a finite float >= 0 and < 1, got 1.0"),
        (lambda: SGD(momentum="0.9"), r"`momentum` must be a finite float >= 0 and < 1, got '0.9'"),
    ],
)
def test_bad_arguments_are_named(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_rules_are_the_functions(rng):
    """The rule objects add nothing to the formulas."""
    g, m, v = (convert_to_tensor(np.abs(rng.normal(size=SHAPE))) for _ in range(3))
    direction, slots = Adam(0.8, 0.95, 1e-4)(g, (m, v), 7)
    for mine, formula in zip((direction, *slots), update_rules.adam(g, m, v, 7, 0.8, 0.95, 1e-4),
                             strict=True):  # fmt: skip
        np.testing.assert_array_equal(convert_to_numpy(mine), convert_to_numpy(formula))
    direction, slots = SGD(0.8)(g, (m,), 7)
    for mine, formula in zip((direction, *slots), update_rules.sgd(g, m, 0.8), strict=True):
        np.testing.assert_array_equal(convert_to_numpy(mine), convert_to_numpy(formula))
    assert (Adam.slots, SGD().slots, SGD(0.5).slots) == (2, 0, 1)
