"""Feature maps of linear attention: what queries and keys pass through before their product."""

from collections.abc import Callable
from typing import Any

from keras import ops


def identity(x: Any) -> Any:
    """The argument as it is."""
    return x


def elu(x: Any) -> Any:
    """ELU plus 1, positive: Katharopoulos et al. (2020), equation 7."""
    return ops.elu(x) + 1


def softmax(x: Any) -> Any:
    """Softmax over the features of a token, positive: what Shen et al. (2021) do to queries."""
    return ops.softmax(x, axis=-1)


FEATURE_MAPS = {"identity": identity, "elu": elu, "relu": ops.relu, "softmax": softmax}


def feature_map_of(chosen: str | Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function that a `feature_map` argument names or is.

    Args:
        chosen: a key of `FEATURE_MAPS`, or a callable.

    Returns:
        A function from `(..., dim)` to `(..., features)`.

    Raises:
        ValueError: if it is neither.
    """
    if callable(chosen):
        return chosen
    if not isinstance(chosen, str) or chosen not in FEATURE_MAPS:
        known = ", ".join(FEATURE_MAPS)
        raise ValueError(f"`feature_map` must be a callable or one of {known}, got {chosen!r}")
    return FEATURE_MAPS[chosen]
