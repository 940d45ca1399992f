"""Which variables decay, and at which rate they move: ordered rules on variable paths."""

import math
import re
from collections.abc import Sequence
from numbers import Real

__all__ = ["PRESETS", "DecayRules"]

_ATTENTION = r"(?i)(attention|attn)[^/]*(/.*)?/(kernel|value|key_query)$"
BIAS_OR_NORM = r"(^|/)(\w*bias|gamma|beta|scale)$"
"""Paths of what recipes leave out of the decay, in Keras and keras-hub: biases, gains, offsets."""

PRESETS = {
    "all": ((".*", 1.0, 1.0),),
    "kernels": ((r"kernel$|/(value|key_query)$", 1.0, 1.0), (".*", 0.0, 1.0)),
    "no_bias_norm": ((BIAS_OR_NORM, 0.0, 1.0), (".*", 1.0, 1.0)),
    "attention_only": ((_ATTENTION, 1.0, 1.0), (".*", 0.0, 1.0)),
    "except_attention": ((_ATTENTION, 0.0, 1.0), (".*", 1.0, 1.0)),
    "gpt2": (
        (r"(kernel|embeddings?|/value|/key_query)$", 1.0, 1.0),
        (".*", 0.0, 1.0),
    ),
}
"""Name to rules. `"all"`: every variable, as Keras. `"kernels"`: matrices that act on features, no
embedding, bias or norm. `"no_bias_norm"`: all but biases and the gains and offsets of norms.
`"attention_only"`, `"except_attention"`: the matrices of attention layers, all but them. `"gpt2"`:
matrices and embeddings, as in the training of GPT-2's open copies."""


class DecayRules:
    """Ordered rules: the first whose pattern is found in a variable's path decides.

    Args:
        rules: name of a preset, or a sequence of `(pattern, decay multiplier, rate multiplier)`:
            a regular expression for `re.search` on `variable.path`, and two floats >= 0.

    Raises:
        ValueError: if there is no such preset, or a rule is not as said.
    """

    def __init__(self, rules: str | Sequence):
        self.preset = rules if isinstance(rules, str) else None
        listed = PRESETS.get(rules) if isinstance(rules, str) else rules
        if not listed or not isinstance(listed, Sequence):
            raise ValueError(
                f"`decay_rules` must be one of {', '.join(map(repr, PRESETS))} or a sequence of at "
                f"least one rule, got {rules!r}"
            )
        self.rules = tuple(map(_checked, listed))

    def match(self, paths: Sequence[str]) -> list[tuple[str, float, float]]:
        """The rule of each variable.

        Args:
            paths: of all variables that are trained.

        Returns:
            For each path the rule `(pattern, decay multiplier, rate multiplier)` that decides.

        Raises:
            ValueError: if a path is not covered, or a rule, other than a preset's, is found in no
                path.
        """
        found = [[rule for rule in self.rules if re.search(rule[0], path)] for path in paths]
        bare = [path for path, rules in zip(paths, found, strict=True) if not rules]
        if bare:
            raise ValueError(
                f"`decay_rules` must cover every variable, but no rule is for {', '.join(bare)}; "
                "a last rule ('.*', 1.0, 1.0) takes the rest"
            )
        idle = [rule[0] for rule in self.rules if not any(rule in rules for rules in found)]
        if idle and self.preset is None:
            raise ValueError(
                f"`decay_rules` must each match a variable, but nothing matches "
                f"{', '.join(map(repr, idle))}; the paths are {', '.join(paths)}"
            )
        return [rules[0] for rules in found]

    def config(self) -> str | list[list]:
        """What the constructor takes, as JSON has it."""
        return self.preset or [list(rule) for rule in self.rules]


def _checked(rule):
    """The rule with floats, or an error that says what is wrong with it."""
    if not (isinstance(rule, Sequence) and not isinstance(rule, str) and len(rule) == 3):
        raise ValueError(
            "each of `decay_rules` must be (pattern, decay multiplier, rate multiplier), got "
            f"{rule!r}"
        )
    pattern, *multipliers = rule
    for value in multipliers:
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value < math.inf:
            raise ValueError(f"multipliers of `decay_rules` must be finite and >= 0, got {rule!r}")
    try:
        re.compile(pattern)
    except (TypeError, re.error) as error:
        raise ValueError(
            f"patterns of `decay_rules` must be regular expressions, got {pattern!r} ({error})"
        ) from None
    return (pattern, *map(float, multipliers))
