"""Names of Keras that are not public, and what differs between backends in its optimizers.

What our optimizers need of Keras behind its public names stands in this file alone;
`tests/optimizers/test_keras_traps.py` says when a version of Keras changes it.
"""

import keras

from wdattn.backend import _NAME

__all__ = ["Hooks", "dense", "excluding", "judged_name", "optimizer_of", "path_of"]

_TENSORFLOW = _NAME == "tensorflow"


class Hooks:
    """Mixin before a Keras optimizer that opens the places where its step can be changed.

    Keras calls the methods that begin with an underscore; what stands behind them here has names
    of our own, which `WeightDecay` defines.
    """

    @property
    def steps(self):
        """Variable: batches seen. `iterations` counts updates where gradients accumulate."""
        return self._iterations

    @property
    def rate_source(self):
        """The rate as it was given: variable, schedule or function."""
        return self._learning_rate

    @property
    def built_variables(self):
        """The variables that the optimizer moves."""
        return self._trainable_variables

    def index_of(self, variable):
        """Place of a variable, or of the backend's variable inside it, among those."""
        return self._get_variable_index(variable)

    def apply(self, grads, trainable_variables=None):
        # Here, since Keras divides by the loss scale and clips what TensorFlow has not summed yet.
        grads = [None if gradient is None else dense(gradient) for gradient in grads]
        return super().apply(grads, trainable_variables)

    def _clip_gradients(self, gradients):
        return self.clipped(self.reduced(gradients), super()._clip_gradients)

    def _all_reduce_sum_gradients(self, pairs):
        """Nothing more to sum: `reduced` has done it, before the gradients were clipped."""
        return pairs

    def reduced(self, gradients):
        """The gradients summed over the replicas of a distribution strategy of TensorFlow."""
        if _TENSORFLOW:
            pairs = [(gradient, None) for gradient in gradients]
            return [gradient for gradient, _ in super()._all_reduce_sum_gradients(pairs)]
        return gradients

    def _apply_weight_decay(self, variables):
        """Nothing: the decay is a part of the step, where each variable's rate is known."""

    def _backend_update_step(self, gradients, variables, learning_rate):
        self.take_step(gradients, variables, learning_rate)

    def step_each(self, gradients, variables, numbers):
        """Calls `update_step(gradient, variable, numbers)` for each, on each replica's variable."""
        super()._backend_update_step(gradients, variables, numbers)


def path_of(variable) -> str:
    """The path of a Keras variable; of a bare `tf.Variable` its name, which is the path too."""
    return getattr(variable, "path", None) or variable.name.split(":")[0]


def judged_name(variable: keras.Variable) -> str:
    """The name to which `exclude_from_weight_decay` holds its patterns.

    On TensorFlow Keras hands its optimizer the `tf.Variable` inside, whose name is the whole path.

    Args:
        variable: of a model.

    Returns:
        `dense/kernel:0` on TensorFlow, where it is `kernel` on JAX and PyTorch.
    """
    return variable.value.name if _TENSORFLOW else variable.name


def optimizer_of(optimizer, variable):
    """The optimizer that moves a variable: an inner one where there are several."""
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        return optimizer._optimizer_map(variable)
    return optimizer


def excluding(optimizer, variable):
    """What `exclude_from_weight_decay` was last told: whether by `var_list`, and the pattern."""
    listed = getattr(optimizer, "_exclude_from_weight_decay", ())
    pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    return variable is not None and optimizer._var_key(variable) in listed, pattern


def dense(gradient):
    """A gradient as one tensor: TensorFlow hands over that of an embedding as slices.

    Args:
        gradient: tensor, variable or, on TensorFlow, `tf.IndexedSlices`.

    Returns:
        Tensor.
    """
    if _TENSORFLOW and hasattr(gradient, "dense_shape"):
        import tensorflow as tf

        return tf.convert_to_tensor(gradient)
    return keras.ops.convert_to_tensor(gradient)
