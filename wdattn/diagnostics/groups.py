"""Groups of a model's trainable variables: by layer, or by patterns of their paths."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

Groups = Mapping[str, str] | None


def group_of_each(variables: Sequence[keras.Variable], groups: Groups = None) -> list[str]:
    """The group that each variable is in.

    Args:
        variables: Keras variables.
        groups: None for a group a layer: the variable's path without its last part. Or a mapping
            from a group's name to a regular expression, which is searched for in the path; the
            first one that is found decides.

    Returns:
        The groups' names, one for each variable, in their order.

    Raises:
        ValueError: if a variable is in no group, a group holds no variable, or an expression cannot
            be read.
    """
    paths = [variable.path for variable in variables]
    if groups is None:
        return [path.rpartition("/")[0] or path for path in paths]
    if not isinstance(groups, Mapping):
        raise ValueError(
            f"`groups` must be None or a mapping from names to patterns, got {groups!r}"
        )
    patterns = {_string(name): _expression(name, pattern) for name, pattern in groups.items()}
    names = [
        next((name for name, pattern in patterns.items() if pattern.search(path)), None)
        for path in paths
    ]
    own = [name for name in names if name is not None]
    if len(own) < len(names):
        raise ValueError(
            f"`groups` must cover every trainable variable, {paths[names.index(None)]!r} is in "
            f"none of {dict(groups)}: a last group of the pattern '' takes the rest"
        )
    if empty := [name for name in patterns if name not in own]:
        raise ValueError(f"`groups` {empty} hold none of the trainable variables {paths}")
    return own


def _string(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"`groups` must have strings for names, got {name!r}")
    return name


def _expression(name: str, pattern: Any) -> re.Pattern[str]:
    try:
        return re.compile(_string(pattern))
    except (re.error, ValueError) as error:
        raise ValueError(
            f"`groups` must hold regular expressions, got {pattern!r} for {name!r}: {error}"
        ) from error


def sums(entries: np.ndarray, sizes: Sequence[int], names: Sequence[str]) -> dict[str, np.ndarray]:
    """The entries summed over each group.

    Args:
        entries: `(..., parameters)` float64, in the order of the variables, each raveled.
        sizes: the number of entries of each variable.
        names: the group of each variable.

    Returns:
        A group's name to its sums, `(...)`, in the order in which the groups first appear.
    """
    parts = np.split(entries, np.cumsum(sizes)[:-1], axis=-1)
    totals: dict[str, np.ndarray] = {}
    for name, part in zip(names, parts, strict=True):
        totals[name] = totals.get(name, 0.0) + part.sum(-1)
    return totals
