"""What the plots take: labelled series of arrays, and texts; checked at the door."""

from collections.abc import Mapping

from wdattn import arguments


def series_of(series, argument, points=None):
    """`series` as float64 arrays of `(seeds, points)`, checked at the door.

    Raises:
        ValueError: if it is no mapping, is empty, or an array has another shape.
    """
    arrays = {
        str(label): arguments.numbers(f"{argument}[{label!r}]", values)
        for label, values in labelled(argument, series).items()
    }
    for label, values in arrays.items():
        if values.ndim != 2 or 0 in values.shape or points not in (None, values.shape[1]):
            wanted = "points" if points is None else points
            raise ValueError(
                f"`{argument}[{label!r}]` must be (seeds, {wanted}), none of them 0, "
                f"got {values.shape}"
            )
    return arrays


def labelled(argument, given):
    """A mapping that holds something; a ValueError otherwise."""
    if not isinstance(given, Mapping) or not given:
        raise ValueError(f"`{argument}` must map at least one label, got {given!r}")
    return given


def labelled_or_none(argument, given):
    """A mapping, empty for None; a ValueError otherwise."""
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"`{argument}` must be None or a mapping from labels, got {given!r}")
    return given or {}


def check_texts(**texts):
    """Raises a ValueError if one of a figure's texts is no str."""
    for name, text in texts.items():
        arguments.text(name, text)
