"""What the tests of several layers hold their layer to."""

import numpy as np
import pytest
from keras import ops

from wdattn import autodiff


@pytest.fixture
def second_derivative(rng):
    """A Hessian-vector product, and the central difference of gradients that it must equal."""

    def both(loss, variables, step=1e-5):
        starts = [ops.convert_to_numpy(variable) for variable in variables]
        vectors = [rng.normal(size=start.shape) for start in starts]
        products = autodiff.hvp(loss, variables)(vectors)
        gradient, sides = autodiff.value_and_grad(loss, variables), []
        for sign in (1, -1):
            for variable, start, vector in zip(variables, starts, vectors, strict=True):
                variable.assign(start + sign * step * vector)
            sides.append([ops.convert_to_numpy(one) for one in gradient()[1]])
        for variable, start in zip(variables, starts, strict=True):
            variable.assign(start)
        flat = np.concatenate([ops.convert_to_numpy(one).ravel() for one in products])
        return flat, np.concatenate([(a - b).ravel() for a, b in zip(*sides, strict=True)]) / (
            2 * step
        )

    return both
