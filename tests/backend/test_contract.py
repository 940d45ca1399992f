"""The products of small matrices with the batch innermost, to float64 NumPy."""

import numpy as np
import pytest
from keras import ops

from wdattn import backend


def tensors(*arrays):
    return [ops.convert_to_tensor(array) for array in arrays]


def literal(left, right):
    return np.einsum("jib,jkb->ikb", left, right)


def close(found, expected):
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-10, atol=1e-10)


# 600: PyTorch takes another way from 512 on; 70 terms: JAX does not write them out.
@pytest.mark.parametrize(("terms", "batch"), [(1, 3), (4, 3), (4, 600), (70, 5)])
def test_equals_numpy(rng, terms, batch):
    left, right = rng.normal(size=(terms, 2, batch)), rng.normal(size=(terms, 3, batch))
    close(backend.contract(*tensors(left, right)), literal(left, right))


def cubic(parameters, fixed):
    """A function whose second derivative passes through both factors."""
    left, right = parameters
    product = backend.contract(left, right)
    return ops.sum(backend.contract(product, product)) + ops.sum(
        backend.contract(fixed, backend.contract(fixed, left))
    )


def value(left, right, fixed):
    product = literal(left, right)
    return literal(product, product).sum() + literal(fixed, literal(fixed, left)).sum()


@pytest.mark.parametrize("batch", [3, 600])
def test_gradient_and_hessian_against_central_differences(rng, batch):
    points, directions = rng.normal(size=(2, 4, 4, batch)), rng.normal(size=(2, 4, 4, batch))
    fixed = rng.normal(size=(4, 4, batch))
    _, gradients = backend.value_and_grad(cubic)(tensors(*points), *tensors(fixed))
    products = backend.hvp(cubic)(tensors(*points), tensors(*directions), *tensors(fixed))
    slope, curvature = (
        sum(np.sum(ops.convert_to_numpy(p) * v) for p, v in zip(parts, directions, strict=True))
        for parts in (gradients, products)
    )
    step = 1e-4
    up, down = (value(*(points + s * directions), fixed) for s in (step, -step))
    # The truncation of the differences, and for the second the round-off of 1e-16 / step^2.
    assert slope == pytest.approx((up - down) / (2 * step), rel=1e-6)
    second = (up - 2 * value(*points, fixed) + down) / step**2
    assert curvature == pytest.approx(second, rel=1e-5)


@pytest.mark.parametrize("in_axes", [(0, 0), (0, None), (None, 1)])
@pytest.mark.parametrize("batch", [3, 600])
def test_mapped_over_either_factor(rng, in_axes, batch):
    left, right = rng.normal(size=(2, 4, 4, batch)), rng.normal(size=(4, 2, 4, batch))
    args = [left if in_axes[0] == 0 else left[0], right]
    args[1] = {0: np.moveaxis(right, 1, 0), 1: right, None: right[:, 0]}[in_axes[1]]
    for mapping in (backend.vmap, backend.each):
        found = mapping(backend.contract, in_axes=in_axes)(*tensors(*args))
        for place in range(2):
            one = [
                arg if axis is None else np.take(arg, place, axis)
                for arg, axis in zip(args, in_axes, strict=True)
            ]
            close(found[place], literal(*one))


@pytest.mark.parametrize("batch", [3, 600])
def test_the_gradient_of_a_mapped_product_adds_up_what_is_shared(rng, batch):
    shared, mapped = rng.normal(size=(4, 4, batch)), rng.normal(size=(2, 4, 4, batch))

    def loss(parameters, mapped):
        return ops.sum(ops.square(
            backend.vmap(backend.contract, in_axes=(None, 0))(parameters[0], mapped)
        ))  # fmt: skip

    _, (found,) = backend.value_and_grad(loss)(tensors(shared), *tensors(mapped))
    products = np.einsum("jib,rjkb->rikb", shared, mapped)
    close(found, 2 * np.einsum("rjkb,rikb->jib", mapped, products))
