"""Every mutant of a source: one operator, number, keyword, condition, call or result changed."""

import ast
import re
from dataclasses import dataclass, field

COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
COMPARISONS |= {"is": "is not", "is not": "is", "in": "not in", "not in": "in"}
SUMS = {"+": "-", "-": "+", "*": "/", "/": "*", "//": "*", "%": "*", "**": "*", "|": "&", "&": "|"}
CALLS = {"max": "min", "maximum": "minimum", "argmax": "argmin", "any": "all", "mean": "max"}
CALLS |= {other: name for name, other in CALLS.items() if name != "mean"}


@dataclass(frozen=True, order=True)
class Mutant:
    path: str
    line: int
    start: int
    end: int
    new: str
    kind: str = field(compare=False)

    def of(self, text):
        """The mutated source."""
        data = text.encode()
        return (data[: self.start] + self.new.encode() + data[self.end :]).decode()

    def describe(self, text):
        old, new = text.splitlines()[self.line - 1], self.of(text).splitlines()[self.line - 1]
        return f"{self.path}:{self.line}: {self.kind}\n    - {old.strip()}\n    + {new.strip()}"


class Sites(ast.NodeVisitor):
    """Every mutant of a source: positions are bytes from its start, as ast counts them."""

    def __init__(self, path, text):
        self.path, self.data, self.found = path, text.encode(), []
        lengths = [len(line) for line in self.data.splitlines(keepends=True)]
        self.starts = [sum(lengths[:row]) for row in range(len(lengths))]
        self.visit(ast.parse(text))

    def place(self, line, column):
        return self.starts[line - 1] + column

    def span(self, node):
        start = self.place(node.lineno, node.col_offset)
        return start, self.place(node.end_lineno, node.end_col_offset)

    def code(self, node):
        start, end = self.span(node)
        return self.data[start:end].decode()

    def add(self, kind, start, end, new):
        if b"\n" not in self.data[start:end]:  # one line, so that a survivor can be read
            line = self.data[:start].count(b"\n") + 1
            self.found.append(Mutant(self.path, line, start, end, new, kind))

    def replace(self, kind, node, new):
        self.add(kind, *self.span(node), new)

    def between(self, kind, left, right, swaps):
        """What stands between two operands, past brackets and line ends, is the operator."""
        start, end = self.span(left)[1], self.span(right)[0]
        operator = re.search(r"is\s+not|not\s+in|[a-z]+|[^\s()\\]+", self.data[start:end].decode())
        if operator and operator[0] in swaps:
            start += operator.start()
            self.add(kind, start, start + len(operator[0]), swaps[operator[0]])

    # What only words an error, describes types or names what is public is left alone.
    def visit_Raise(self, node):
        pass

    def visit_JoinedStr(self, node):
        pass

    def visit_AnnAssign(self, node):
        if node.value:
            self.visit(node.value)

    def visit_arguments(self, node):
        for default in [*node.defaults, *filter(None, node.kw_defaults)]:
            self.visit(default)

    def visit_FunctionDef(self, node):
        self.visit(node.args)
        for statement in node.body:
            self.visit(statement)

    def visit_ClassDef(self, node):
        for statement in node.body:
            self.visit(statement)

    def visit_Compare(self, node):
        for left, right in zip([node.left, *node.comparators], node.comparators, strict=False):
            self.between("comparison", left, right, COMPARISONS)
        self.generic_visit(node)

    def visit_BinOp(self, node):
        self.between("arithmetic", node.left, node.right, SUMS)
        self.generic_visit(node)

    def visit_AugAssign(self, node):
        swaps = {f"{old}=": f"{new}=" for old, new in SUMS.items()}
        self.between("arithmetic", node.target, node.value, swaps)
        self.generic_visit(node)

    def visit_BoolOp(self, node):
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.between("and, or", left, right, {"and": "or", "or": "and"})
        self.generic_visit(node)

    def visit_UnaryOp(self, node):
        if isinstance(node.op, ast.USub | ast.Not):
            self.replace("sign, not", node, self.code(node.operand))
        self.generic_visit(node)

    def visit_Constant(self, node):
        if isinstance(node.value, bool):
            self.replace("constant", node, str(not node.value))
        elif isinstance(node.value, int | float):
            new = node.value + 1 if isinstance(node.value, int) else node.value * 1.1 or 0.1
            self.replace("constant", node, repr(new))

    def visit_Call(self, node):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else self.code(node.func)
        if name in CALLS:
            end = self.span(node.func)[1]
            self.add("function", end - len(name), end, CALLS[name])
        given = sorted([*node.args, *node.keywords], key=self.span)
        for place, argument in enumerate(given):
            if place and isinstance(argument, ast.keyword) and argument.arg not in (None, "strict"):
                start, end = self.span(given[place - 1])[1], self.span(argument)[1]
                if self.data[start : start + 1] == b",":  # else a bracket stands between
                    self.add("keyword dropped", start, end, "")
        self.generic_visit(node)

    def condition(self, node):
        self.replace("condition", node.test, f"(not ({self.code(node.test)}))")
        self.generic_visit(node)

    visit_If = visit_While = visit_IfExp = condition

    def visit_Return(self, node):
        if node.value is not None and not isinstance(node.value, ast.Constant):
            self.replace("result", node.value, "None")
        self.generic_visit(node)

    def visit_Expr(self, node):
        if isinstance(node.value, ast.Call):
            self.replace("call dropped", node, "pass")
        self.generic_visit(node)


def mutants(path, text):
    """Each change of one line that still compiles."""
    found = []
    for mutant in sorted(set(Sites(path, text).found)):
        try:
            compile(mutant.of(text), path, "exec")
        except SyntaxError:
            continue
        found.append(mutant)
    return found
