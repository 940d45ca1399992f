"""Which variables decay, and at which rate they move: ordered rules on variable paths."""

import re
from collections.abc import Sequence

from wdattn.arguments import is_real
from wdattn.optimizers.knob import Knob

__all__ = ["ABSENT", "PRESETS", "DecayRules"]

ABSENT = "may be absent"
"""The fourth entry of a rule that need not match a variable."""

_LORA = re.compile(r"lora_(kernel|embeddings)_[ab]$")

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

    A LoRA matrix such as `query/lora_kernel_a` counts as the matrix that it adapts, `query/kernel`,
    unless a rule before finds its own path.

    Args:
        rules: name of a preset, or a sequence of `(pattern, decay multiplier, rate multiplier)`:
            a regular expression for `re.search` on `variable.path`, and two floats >= 0, or knobs.
            `"may be absent"` as a fourth entry says that the rule need not match a variable.

    Raises:
        ValueError: if there is no such preset, or a rule is not as said.

    Examples:
        >>> from wdattn.optimizers import DecayRules
        >>> rules = DecayRules([("bias$", 0.0, 1.0, "may be absent"), (".*", 1.0, 1.0)])
        >>> rules.match(["dense/kernel", "dense/lora_kernel_a"])
        [('.*', 1.0, 1.0), ('.*', 1.0, 1.0)]
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

    def __eq__(self, other):
        return isinstance(other, DecayRules) and self.rules == other.rules

    def __hash__(self):
        return hash(self.rules)

    def __repr__(self):
        return f"DecayRules({self.config()!r})"

    def match(
        self, paths: Sequence[str], known: Sequence[str] = (), strict: bool = True
    ) -> list[tuple[str, float | Knob, float | Knob]]:
        """The rule of each variable.

        Args:
            paths: of all variables that are trained.
            known: of the model's other variables, such as frozen ones, in which a rule may be
                found as well.
            strict: whether a rule that is found in no path is an error.

        Returns:
            For each path the rule `(pattern, decay multiplier, rate multiplier)` that decides.

        Raises:
            ValueError: if a path is not covered, or a rule is found in no path, other than a
                preset's and one that may be absent.
        """
        found = [[rule for rule in self.rules if _finds(rule, path)] for path in paths]
        bare = [path for path, rules in zip(paths, found, strict=True) if not rules]
        if bare:
            raise ValueError(
                f"`decay_rules` must cover every variable, but no rule is for {', '.join(bare)}; "
                "a last rule ('.*', 1.0, 1.0) takes the rest"
            )
        if strict and self.preset is None:
            self._check_used([*paths, *known])
        return [rules[0][:3] for rules in found]

    def _check_used(self, paths):
        must = [rule for rule in self.rules if rule[3:] != (ABSENT,)]
        idle = [rule[0] for rule in must if not any(_finds(rule, path) for path in paths)]
        if idle:
            raise ValueError(
                f"`decay_rules` must each match a variable, but nothing matches "
                f"{', '.join(map(repr, idle))}; a fourth entry {ABSENT!r} allows this; the paths "
                f"are {', '.join(paths)}"
            )

    def config(self) -> str | list[list]:
        """What the constructor takes, as JSON has it."""
        return self.preset or [list(rule) for rule in self.rules]


def _finds(rule, path):
    adapted = _LORA.sub(r"\1", path)
    return re.search(rule[0], path) or (adapted != path and re.search(rule[0], adapted))


def _checked(rule):
    """The rule with floats, or an error that says what is wrong with it."""
    if not (isinstance(rule, Sequence) and not isinstance(rule, str) and len(rule) in (3, 4)):
        raise ValueError(
            "each of `decay_rules` must be (pattern, decay multiplier, rate multiplier), and "
            f"{ABSENT!r} if need be, got {rule!r}"
        )
    pattern, *multipliers = rule[:3]
    for value in multipliers:
        if not isinstance(value, Knob) and not (is_real(value) and value >= 0):
            raise ValueError(f"multipliers of `decay_rules` must be finite and >= 0, got {rule!r}")
    if len(rule) == 4 and rule[3] != ABSENT:
        raise ValueError(f"the fourth entry of `decay_rules` must be {ABSENT!r}, got {rule!r}")
    try:
        re.compile(pattern)
    except (TypeError, re.error) as error:
        raise ValueError(
            f"patterns of `decay_rules` must be regular expressions, got {pattern!r} ({error})"
        ) from None
    return (
        pattern,
        *(value if isinstance(value, Knob) else float(value) for value in multipliers),
        *rule[3:],
    )
