"""Names the code that a run's numbers depend on, so that no stale record passes for a fresh one."""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import wdattn

PACKAGE = Path(wdattn.__file__).parent


def build_digest(roots: Sequence[str]) -> str:
    """The version of an installed release; for a checkout, a digest of the code in use.

    The digest covers `roots` and every `wdattn` module that they import, however deep, with
    docstrings and comments left out. A name that a room re-exports leads to the module that
    defines it, so that a new layer does not age the records of another.

    Args:
        roots: dotted module names.
    """
    if not (PACKAGE.parent / "pyproject.toml").exists():
        return wdattn.__version__
    return _digest(tuple(roots))


@cache
def _digest(roots):
    seen: dict[str, ast.Module] = {}
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen[module] = _parse(module)
            waiting.extend(_imports(seen[module]))
    text = "\n".join(f"{name}\n{ast.unparse(seen[name])}" for name in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _path(module: str) -> Path:
    place = PACKAGE.joinpath(*module.split(".")[1:])
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


@cache
def _parse(module: str) -> ast.Module:
    """The module without docstrings; comments are not in a tree to begin with."""
    tree = ast.parse(_path(module).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [statement for statement in body if not _is_text(statement)]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return tree


def _is_text(node: ast.stmt) -> bool:
    """A string that stands alone: the docstring of what holds it, or of the name before it."""
    return isinstance(node, ast.Expr) and (
        isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )


def _imports(tree: ast.Module) -> Iterator[str]:
    """The wdattn modules in which the imported names are defined."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("wdattn."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "wdattn":
            for alias in node.names:
                home = _home(str(node.module), alias.name)
                used = _attributes(tree, alias.asname or alias.name)
                # A room that is imported whole leads to what is used of it.
                whole = _path(home).name == "__init__.py" and used
                yield from {_home(home, name) for name in used} if whole else {home}


def _attributes(tree: ast.Module, name: str) -> set[str]:
    """What `tree` uses of `name`: the x of each `name.x`."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == name
    }


def _home(module: str, name: str) -> str:
    """Where `from module import name` finds it: a submodule, a re-exported name's, or `module`."""
    if _path(f"{module}.{name}").exists():
        return f"{module}.{name}"
    if _path(module).name != "__init__.py" or module == "wdattn":
        return module
    for node in _parse(module).body:
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return _home(str(node.module), name)
    return module
