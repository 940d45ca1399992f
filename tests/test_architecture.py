"""Reads the package's source: who imports whom, and what must not be written where.

A rule takes one source file and gives what it objects to; every rule is itself held to lines that
it must object to.
"""

import ast
import graphlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

import wdattn

PACKAGE = Path(__file__).parents[1] / "wdattn"

MAY_ENTER = {
    "cli": "autodiff backend callbacks data diagnostics initializers layers ledger models ops "
    "optimizers papers plots replicas reproduction schedules spectra weights",
    "papers": "autodiff data diagnostics initializers layers ledger models ops optimizers plots "
    "replicas reproduction schedules spectra",
    "ledger": "backend plots reproduction",
    "reproduction": "autodiff backend diagnostics optimizers replicas schedules",
    "callbacks": "diagnostics optimizers schedules",
    "diagnostics": "autodiff layers ops optimizers spectra weights",
    "models": "autodiff initializers layers ops weights",
    "replicas": "autodiff backend optimizers",
    "optimizers": "backend schedules",
    "layers": "initializers ops",
    "autodiff": "backend",
    "ops": "backend",
    "spectra": "weights",
    **dict.fromkeys(("backend", "data", "initializers", "plots", "schedules", "weights"), ""),
}
ARROWS = {room: {"arguments", "install", *others.split()} for room, others in MAY_ENTER.items()}
# Plain checks, and what to type for a missing extra: every room may use them.
ARROWS |= {"arguments": set(), "install": set()}

SAME_ROOM = {
    "__main__": "cli",
    "backend_choice": "backend",
    "reproduce": "papers",
}
"""Names at the top of the package that belong to a room of another name."""

BACKENDS = {"jax", "jaxlib", "tensorflow", "torch"}
KERAS = {"keras", "keras_hub", "keras_cv", *BACKENDS}
ONE_CLASS_A_FILE = {"callbacks", "layers", "models", "optimizers", "schedules"}
SEVERAL_CLASSES = {
    "wdattn.optimizers.decay_table",  # and its rows
    "wdattn.optimizers.update_rules",  # the rules are one short formula each
}

# These are imported before `--backend` has acted, so they must not load Keras.
LIGHT = re.compile(
    r"wdattn(\.(__main__|(cli|ledger)(\.\w+)?|arguments|backend_choice|install|reproduction|papers"
    r"|(spectra|weights)(\.\w+)?|papers\.\w+(\.(?!system|measures|network)\w+)*))?"
)


@dataclass(frozen=True)
class Source:
    """A file: its dotted module name and its code."""

    module: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        return room_of(self.module)


def read() -> dict[str, Source]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[module] = Source(module, path.read_text("utf-8"))
    return found


SOURCES = read()


def room_of(dotted: str) -> str:
    """The room of a module, or of a name in the package; "wdattn" is the top itself."""
    first = dotted.split(".")[1] if "." in dotted else "wdattn"
    if first.startswith("__") and first not in SAME_ROOM:
        return "wdattn"
    return SAME_ROOM.get(first, first)


def walk_module_level(tree: ast.AST) -> Iterator[ast.AST]:
    """What runs when the module is imported: not functions, not `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and dotted(child.test, {}).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from walk_module_level(child)


def imported(nodes) -> Iterator[str]:
    """Dotted names that are imported, also by `import_module("...")` and as `wdattn.room`."""
    for node in nodes:
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(level=0):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            case ast.ImportFrom():
                yield "a relative import"
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]):
                if dotted(function, {}).split(".")[-1] in ("import_module", "__import__"):
                    yield name
            case ast.Attribute(value=ast.Name(id="wdattn"), attr=name):
                yield f"wdattn.{name}"


def dotted(node: ast.AST, names) -> str:
    """`a.b.c` as it is written, with its first name as it was imported."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value, names)}.{node.attr}"
    return names.get(node.id, node.id) if isinstance(node, ast.Name) else "?"


def roots(source: Source) -> set[str]:
    return {name.split(".")[0] for name in imported(ast.walk(source.tree))}


# Rules on one file


def arrows(source: Source) -> list[str]:
    """A room enters only those that it may."""
    if source.room != "wdattn" and source.room not in ARROWS:
        return [f"unknown room {source.room}: add it to ARROWS"]
    found = []
    for name in imported(ast.walk(source.tree)):
        if name == "a relative import":
            found.append(f"{name}: write it in full")
        elif name.split(".")[0] == "wdattn" and source.room != "wdattn":
            target = room_of(name)
            if target not in ARROWS and target != "wdattn":
                found.append(f"{name}: unknown room")
            elif target not in ARROWS[source.room] | {source.room, "wdattn"}:
                found.append(f"{name}: {source.room} may not enter {target}")
    return found


def one_backend_room(source: Source) -> list[str]:
    """Only `backend` asks which backend runs."""
    if source.room == "backend":
        return []
    found = [f"imports {name}" for name in sorted(roots(source) & BACKENDS)]
    names = {}
    for node in ast.walk(source.tree):
        match node:
            case ast.Import():
                names |= {a.asname: a.name for a in node.names if a.asname}
            case ast.ImportFrom():
                names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    for node in ast.walk(source.tree):
        match node:
            case ast.Name() | ast.Attribute():
                asked = dotted(node, names)
                if asked in ("keras.backend.backend", "keras.config.backend"):
                    found.append(f"asks {asked}")
            case ast.Constant(value="KERAS_BACKEND"):
                found.append("reads or sets KERAS_BACKEND")
            case ast.Compare() | ast.MatchValue():
                constants = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
                if any(value in BACKENDS for value in constants):
                    found.append(f"branches on the backend: {ast.unparse(node)}")
    return found


def one_public_class(source: Source) -> list[str]:
    """In these rooms a file holds one public class, and has its name."""
    if source.room not in ONE_CLASS_A_FILE or source.module in SEVERAL_CLASSES:
        return []
    body = source.tree.body
    names = [n.name for n in body if isinstance(n, ast.ClassDef) and n.name[0] != "_"]
    if len(names) > 1:
        return [f"several public classes: {', '.join(names)}"]
    stem = source.module.split(".")[-1]
    return [
        f"{n} is not in a file of its name" for n in names if n.lower() != stem.replace("_", "")
    ]


def no_print(source: Source) -> list[str]:
    """Only the command prints."""
    if source.room == "cli":
        return []
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if dotted(call.func, {}) == "print"]


def no_assert(source: Source) -> list[str]:
    """A check must hold under `python -O` too."""
    return [ast.unparse(n) for n in ast.walk(source.tree) if isinstance(n, ast.Assert)]


def no_bare_except(source: Source) -> list[str]:
    """What is caught has a name."""
    handlers = [n for n in ast.walk(source.tree) if isinstance(n, ast.ExceptHandler)]
    return ["bare except" for handler in handlers if handler.type is None]


def no_utils(source: Source) -> list[str]:
    """A file is named after what it holds."""
    return [source.module] if source.module.split(".")[-1] in ("utils", "util", "helpers") else []


def short(source: Source) -> list[str]:
    """A file past 300 lines asks for a room."""
    count = len(source.text.splitlines())
    return [f"{count} lines"] if count > 300 else []


def papers_apart(source: Source) -> list[str]:
    """One paper never imports another."""
    match source.module.split("."):
        case ["wdattn", "papers", own, *_]:
            pass
        case _:
            return []
    names = [name.split(".") for name in imported(ast.walk(source.tree))]
    others = [n for n in names if n[:2] == ["wdattn", "papers"] and n[2:3] not in ([], [own])]
    return [".".join(name) for name in others if is_paper(name[2])]


def is_paper(name: str) -> bool:
    return re.fullmatch(r"[a-z]+\d{4}[a-z]?", name) is not None


def plots_are_plain(source: Source) -> list[str]:
    """Plots take arrays: no Keras, no backend."""
    return sorted(roots(source) & KERAS) if source.room == "plots" else []


RULES = [
    *[arrows, one_backend_room, one_public_class, no_print, no_assert, no_bare_except],
    *[no_utils, short, papers_apart, plots_are_plain],
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule):
    wrong = [f"{name}: {line}" for name, source in SOURCES.items() for line in rule(source)]
    assert not wrong, "\n".join([rule.__doc__, *wrong])


SAYS_NO = [
    (arrows, "wdattn.ops.x", "def f():\n    from wdattn import layers"),
    (arrows, "wdattn.ops.x", "import wdattn\nwdattn.layers.LinearSelfAttention()"),
    (arrows, "wdattn.diagnostics.x", "from wdattn.backend import hvp"),
    (arrows, "wdattn.reproduction.x", "import importlib\nimportlib.import_module('wdattn.papers')"),
    (arrows, "wdattn.layers.x", "from . import y"),
    (arrows, "wdattn.layers.x", "from wdattn.attic import y"),
    (arrows, "wdattn.attic.x", ""),
    (one_backend_room, "wdattn.ops.x", "def f():\n    import torch.func"),
    (one_backend_room, "wdattn.ops.x", "from jax import numpy"),
    (one_backend_room, "wdattn.ops.x", "import keras\nkeras.backend.backend()"),
    (one_backend_room, "wdattn.ops.x", "import keras\nkeras.config.backend()"),
    (one_backend_room, "wdattn.ops.x", "from keras import backend as K\nK.backend()"),
    (one_backend_room, "wdattn.ops.x", "from keras.config import backend\nbackend()"),
    (one_backend_room, "wdattn.ops.x", "import os\nos.environ['KERAS_BACKEND']"),
    (one_backend_room, "wdattn.ops.x", "def f(name): return name in ('jax', 'numpy')"),
    (one_public_class, "wdattn.layers.one", "class One: ...\nclass Two: ..."),
    (one_public_class, "wdattn.layers.one", "class Two: ..."),
    (no_print, "wdattn.ops.x", "def f(): print('here')"),
    (no_assert, "wdattn.ops.x", "def f(x):\n    assert x > 0"),
    (no_bare_except, "wdattn.ops.x", "try: pass\nexcept: pass"),
    (no_utils, "wdattn.ops.utils", ""),
    (short, "wdattn.ops.x", "pass\n" * 301),
    (papers_apart, "wdattn.papers.ahn2024.arms", "from wdattn.papers.deora2024 import arms"),
    (papers_apart, "wdattn.papers.ahn2024.findings.depth", "from wdattn.papers import deora2024"),
    (plots_are_plain, "wdattn.plots.x", "def f():\n    from keras import ops"),
]
SAYS_YES = [
    (arrows, "wdattn.layers.x", "import wdattn\nfrom wdattn.ops import y\nwdattn.__version__"),
    (arrows, "wdattn.cli", "from wdattn import __version__, backend_choice, reproduce"),
    (one_backend_room, "wdattn.backend.x", "import torch\nif name == 'torch': pass"),
    (one_backend_room, "wdattn.backend_choice", "import os\nos.environ['KERAS_BACKEND']"),
    (
        one_backend_room,
        "wdattn.ops.x",
        "'By KERAS_BACKEND.'\nimport keras\nkeras.floatx()",
    ),
    (one_public_class, "wdattn.layers.vit_block", "class ViTBlock: ...\nclass _Part: ..."),
    (no_print, "wdattn.ops.x", "def f(console): console.print('here')"),
    (no_bare_except, "wdattn.ops.x", "try: pass\nexcept ValueError: pass"),
    (short, "wdattn.ops.x", "pass\n" * 300),
    (papers_apart, "wdattn.papers.ahn2024.arms", "from wdattn.papers.ahn2024 import settings"),
    (papers_apart, "wdattn.papers", "from wdattn.papers.ahn2024 import PAPER"),
]


def test_each_rule_can_say_no():
    missed = [case for case in SAYS_NO if not case[0](Source(*case[1:]))]
    assert missed == []


def test_each_rule_lets_the_good_line_pass():
    hit = [case for case in SAYS_YES if case[0](Source(*case[1:]))]
    assert hit == []


def test_every_rule_is_tried():
    assert {rule for rule, *_ in SAYS_NO} == set(RULES)


# Rules on the whole package


def modules_loaded(name: str, sources) -> set[str]:
    """The modules that importing a dotted name runs: every package on the way to it."""
    parts = name.split(".")
    return {d for i in range(len(parts)) if (d := ".".join(parts[: i + 1])) in sources}


def road_to_keras(module: str, sources) -> list[str]:
    """The chain of module-level imports from a module to Keras or a backend, or nothing."""
    roads = [[name] for name in sorted(modules_loaded(module, sources))]
    seen = set()
    while roads:
        road = roads.pop(0)
        if road[-1] in seen:
            continue
        seen.add(road[-1])
        for name in imported(walk_module_level(sources[road[-1]].tree)):
            if name.split(".")[0] in KERAS:
                return [*road, name]
            roads += [[*road, loaded] for loaded in sorted(modules_loaded(name, sources))]
    return []


def test_what_runs_before_the_backend_is_chosen_does_not_load_keras():
    light = [module for module in SOURCES if LIGHT.fullmatch(module)]
    assert {"wdattn", "wdattn.cli", "wdattn.papers.ahn2024.findings.depth"} <= set(light)
    roads = {module: road_to_keras(module, SOURCES) for module in light}
    assert {module: road for module, road in roads.items() if road} == {}


def test_the_backend_is_chosen_before_each_room_that_loads_keras():
    rooms = {f"wdattn.{room}" for room in wdattn._ROOMS}
    assert {room for room in rooms if road_to_keras(room, SOURCES)} == wdattn._LOADS_KERAS


def test_the_road_to_keras_is_found_through_packages_and_not_through_functions():
    codes = {
        "wdattn": "",
        "wdattn.cli": "import wdattn.papers.a.claims\ndef f():\n    import keras",
        "wdattn.papers": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import keras",
        "wdattn.papers.a": "from wdattn.layers import x",
        "wdattn.papers.a.claims": "",
        "wdattn.layers": "try:\n    import keras\nexcept ImportError: pass",
    }
    sources = {module: Source(module, code) for module, code in codes.items()}
    assert road_to_keras("wdattn.papers", sources) == []
    road = ["wdattn.cli", "wdattn.papers.a", "wdattn.layers", "keras"]
    assert road_to_keras("wdattn.cli", sources) == road


def cycle(graph) -> list[str]:
    """The nodes of one cycle, or nothing."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_no_cycle_between_rooms():
    assert cycle(ARROWS) == []
    entered = {room: set() for room in ARROWS}
    for source in SOURCES.values():
        names = [n for n in imported(ast.walk(source.tree)) if n.split(".")[0] == "wdattn"]
        if source.room != "wdattn":
            entered[source.room] |= {room_of(name) for name in names} - {source.room, "wdattn"}
    assert cycle(entered) == []


def test_no_cycle_between_modules():
    graph = {}
    for module, source in SOURCES.items():
        names = imported(walk_module_level(source.tree))
        homes = [sorted(modules_loaded(name, SOURCES), key=len) for name in names]
        graph[module] = {home[-1] for home in homes if home} - {"wdattn"}
    assert cycle(graph) == []


def test_a_cycle_is_found():
    found = cycle({"layers": {"ops"}, "ops": {"models"}, "models": {"layers"}})
    assert set(found) == {"layers", "ops", "models"}
