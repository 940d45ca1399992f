"""The form of the data of an explorable figure: what `docs/javascripts/explorable.js` reads.

An explorable is one JSON object:

- `title`, `text`: what it is, and how to read it;
- `controls`: what the reader sets, in the order in which they give way where a combination does
  not exist: `name`, `label`, `options` of `value` and `label`;
- `beside`: the control whose other options are drawn along, pale;
- `runs`: the combinations that exist, a list of values in the order of `controls`; the first one
  is shown at the start, and the first that fits where what was chosen does not exist;
- `views`: the panels: `name`, `title`, `x` and `y` of `label` and `scale` ("log" or "linear"),
  `mark`, the control whose value is a point on x, or null, and a `note`;
- `series`: the curves: `view`; `at`, the values of the controls for which it is shown (a control
  that is not named does not matter); `label`; `reference`, true for a dashed line of comparison;
  `x`, `y`, and `low` and `high` of its band, or null; `text`, one sentence with its numbers.
"""

import json
import math

KEYS = {
    "explorable": {"title", "text", "controls", "beside", "runs", "views", "series"},
    "control": {"name", "label", "options"},
    "option": {"value", "label"},
    "view": {"name", "title", "x", "y", "mark", "note"},
    "series": {"view", "at", "label", "reference", "x", "y", "low", "high", "text"},
}


def check(explorable):
    """Holds the data of an explorable to its form.

    Args:
        explorable: dict as told above.

    Raises:
        ValueError: names the part, what it holds and what is allowed.
    """
    _keys("explorable", explorable)
    options = {}
    for control in explorable["controls"]:
        _keys("control", control)
        for option in control["options"]:
            _keys("option", option)
        options[control["name"]] = [option["value"] for option in control["options"]]
    _one_of("beside", explorable["beside"], options)
    for run in explorable["runs"]:
        for name, value in zip(options, run, strict=True):
            _one_of(name, value, options[name])
    for view in explorable["views"]:
        _keys("view", view)
    for series in explorable["series"]:
        _keys("series", series)
        _one_of("view", series["view"], [view["name"] for view in explorable["views"]])
        for name, value in series["at"].items():
            _one_of(name, value, options[name])
        lengths = {len(series[name]) for name in ("x", "y", "low", "high") if series[name]}
        if len(lengths) != 1:
            raise ValueError(f"x, y, low and high must be equally long, got {sorted(lengths)}")


def write(explorable, path):
    """Checks an explorable and writes it, with four significant digits.

    Args:
        explorable: dict as told above.
        path: the JSON file.
    """
    check(explorable)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_short(explorable), separators=(",", ":"), allow_nan=False), "utf-8")


def _short(value):
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_short(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value


def _keys(what, given):
    if set(given) != KEYS[what]:
        raise ValueError(f"{what} must have the keys {sorted(KEYS[what])}, got {sorted(given)}")


def _one_of(what, value, allowed):
    if value not in allowed:
        raise ValueError(f"{what} must be one of {list(allowed)}, got {value!r}")
