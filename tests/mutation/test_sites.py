"""What the mutation run changes: every kind of change, on one line, and nothing that only words."""

import ast
from pathlib import Path

import pytest

from tests.mutation.sites import mutants

CASES = {
    "comparison": ("ok = a <= b\n", {"ok = a < b\n"}),
    "chained": ("ok = a < b != c\n", {"ok = a <= b != c\n", "ok = a < b == c\n"}),
    "in words": ("ok = a is not None\n", {"ok = a is None\n"}),
    "past brackets": ("ok = (a) not in (b)\n", {"ok = (a) in (b)\n"}),
    "arithmetic": ("c = a - b\n", {"c = a + b\n"}),
    "in place": ("a *= b\n", {"a /= b\n"}),
    "sign": ("c = -a\n", {"c = a\n"}),
    "not": ("c = not a\n", {"c = a\n"}),
    "numbers": ("c = [2, 0.5]\n", {"c = [3, 0.5]\n", "c = [2, 0.55]\n"}),
    "zero": ("c = 0.0\n", {"c = 0.1\n"}),
    "truth": ("c = True\n", {"c = False\n"}),
    "and": ("c = a and b\n", {"c = a or b\n"}),
    "function": ("c = ops.mean(a)\n", {"c = ops.max(a)\n"}),
    "keyword": ("c = f(a, axis=b)\n", {"c = f(a)\n"}),
    "condition": ("c = a if b else d\n", {"c = a if (not (b)) else d\n"}),
    "result": ("def f():\n    return a\n", {"def f():\n    return None\n"}),
    "call": ("f(a)\n", {"pass\n"}),
    "Greek before it": ("λ, c = η, a + b\n", {"λ, c = η, a - b\n"}),
    "on the second line": ("c = (a\n     + b)\n", {"c = (a\n     - b)\n"}),
}  # fmt: skip
LEFT_ALONE = [
    '"""A docstring of 2 words."""\n',
    "raise ValueError(f'must be {a + 1}')\n",
    "def f(a: int | None) -> dict[str, int | None]:\n    pass\n",
    "@dataclass(frozen=True)\nclass A:\n    pass\n",
    "for a, b in zip(c, d, strict=e):\n    pass\n",
]


@pytest.mark.parametrize(("text", "made"), CASES.values(), ids=CASES)
def test_each_kind_of_change(text, made):
    assert {mutant.of(text) for mutant in mutants("x.py", text)} == made


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_only_words_or_types_is_left_alone(text):
    assert mutants("x.py", text) == []


def test_a_change_is_one_line_that_it_names():
    text = Path(__file__).read_text("utf-8")
    for mutant in mutants("x.py", text):
        ast.parse(mutant.of(text))
        pairs = zip(text.splitlines(), mutant.of(text).splitlines(), strict=True)
        changed = [row for row, (old, new) in enumerate(pairs, 1) if old != new]
        assert changed == [mutant.line]
        assert f"x.py:{mutant.line}: {mutant.kind}" in mutant.describe(text)
