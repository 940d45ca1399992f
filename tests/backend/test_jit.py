"""What `jit` keeps live, what it drops, and when it traces again."""

import keras
import numpy as np
import pytest
from keras import ops

from wdattn import backend

EAGER = backend.describe()["backend"] == "torch"


def test_variables_are_read_at_each_call():
    variable = keras.Variable(2.0)
    double = backend.jit(lambda x: x * variable)
    assert float(double(np.float32(3))) == 6
    variable.assign(5.0)
    assert float(double(np.float32(3))) == 15


def test_a_variable_that_only_a_later_trace_reads_is_live_too():
    first, second = keras.Variable(2.0), keras.Variable(3.0)
    function = backend.jit(lambda x: ops.sum(x) * (first if len(x.shape) == 1 else second))
    assert float(function(ops.ones(1))) == 2
    assert float(function(ops.ones((1, 1)))) == 3
    second.assign(7.0)
    assert float(function(ops.ones((1, 1)))) == 7


def test_what_the_function_assigns_is_dropped():
    counter = keras.Variable(1.0)

    def function(x):
        counter.assign_add(x)
        return counter * 1.0

    compiled = backend.jit(function)
    assert [float(compiled(ops.ones(()))) for _ in range(2)] == [2, 2]
    assert ops.convert_to_numpy(counter.value) == 1


def test_an_enclosing_scope_decides_what_a_variable_is():
    variable = keras.Variable(2.0)
    compiled = backend.jit(lambda: variable * 1.0)
    assert float(compiled()) == 2
    for value in (3.0, 4.0):
        with keras.StatelessScope([(variable, ops.convert_to_tensor(value))]):
            assert float(compiled()) == value
    assert float(compiled()) == 2


def test_inside_another_jit_variables_stay_live():
    variable = keras.Variable(2.0)
    outer = backend.jit(lambda x: backend.jit(lambda y: y * variable)(x) + variable)
    assert float(outer(ops.ones(()))) == 4
    variable.assign(3.0)
    assert float(outer(ops.ones(()))) == 6


def test_the_same_shapes_are_not_traced_again():
    calls = []

    def function(x):
        calls.append(x.shape)
        return ops.sum(x)

    compiled = backend.jit(function)
    assert [float(compiled(ops.ones(3) * k)) for k in range(4)] == [0, 3, 6, 9]
    assert len(calls) == (4 if EAGER else 1)


def test_a_layer_made_inside_works(rng):
    """Its variables exist only in the trace, and cannot be arguments."""

    def function(x):
        return ops.sum(keras.layers.Dense(2, kernel_initializer="ones")(x))

    assert float(backend.jit(function)(ops.ones((1, 3)))) == 6


def test_an_error_passes_through_and_the_next_call_works():
    variable = keras.Variable(2.0)

    def function(x):
        if x.shape[0] == 1:
            raise ValueError("`x` must hold two entries")
        return ops.sum(x) * variable

    compiled = backend.jit(function)
    with pytest.raises(ValueError, match="two entries"):
        compiled(ops.ones(1))
    assert float(compiled(ops.ones(2))) == 4


@pytest.mark.parametrize("seed", [None, 3])
def test_dropout_draws_the_same_mask_each_time_and_moves_no_generator(seed):
    dropout = keras.layers.Dropout(0.5, seed=seed)
    x = ops.ones((4, 8))
    dropout(x, training=True)
    state = ops.convert_to_numpy(dropout.seed_generator.state.value)
    compiled = backend.jit(lambda x: dropout(x, training=True))
    first, second = (ops.convert_to_numpy(compiled(x)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert 0 < (first == 0).sum() < first.size
    np.testing.assert_array_equal(ops.convert_to_numpy(dropout.seed_generator.state.value), state)


def test_results_hold_no_graph_of_torch():
    """A scalar that does warns when it is read, and keeps what it came from alive."""
    variable = keras.Variable([1.0, 2.0])
    result = backend.jit(lambda: ops.sum(variable * 2.0))()
    assert not getattr(result, "requires_grad", False)
