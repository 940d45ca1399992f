"""A stateless scope through which the enclosing scope stays visible."""

import keras


class LiveScope(keras.StatelessScope):
    """A `keras.StatelessScope` that nests: what it does not map, the enclosing scope may.

    Keras looks at the innermost scope only. A derivative inside a derivative would then read the
    outer one's variables as constants, and lose their share without a word.

    Args:
        state_mapping: pairs (Keras variable, tensor), or None. The values inside the scope.
    """

    def get_current_value(self, variable):
        value = super().get_current_value(variable)
        return self.read(variable) if value is None else value

    def read(self, variable):
        """The value of a variable that is not mapped here; None stands for the variable's own."""
        return self.original_scope and self.original_scope.get_current_value(variable)
