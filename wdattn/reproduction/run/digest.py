"""Names the code that a run's numbers depend on, so that no stale record passes for a fresh one."""

import ast
import hashlib
import importlib.util
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path

import wdattn

PACKAGE = Path(wdattn.__file__).parent


def build_digest(roots: Sequence[str]) -> str:
    """The version of an installed release; for a checkout, a digest of the code in use.

    The digest covers `roots` and every module of their packages and of `wdattn` that they import,
    however deep, with docstrings and comments left out. A name that a room re-exports leads to the
    module that defines it, so that a new layer does not age the records of another. A paper in a
    package of its own is always covered by its code.

    Args:
        roots: dotted module names.
    """
    if (PACKAGE.parent / "pyproject.toml").exists():
        return _digest(tuple(roots))
    elsewhere = tuple(root for root in roots if _top(root) != "wdattn")
    own = f"-{_digest(elsewhere, follow_wdattn=False)}" if elsewhere else ""
    return f"{wdattn.__version__}{own}"


@cache
def _digest(roots, follow_wdattn=True):
    packages = {*map(_top, roots), *(["wdattn"] if follow_wdattn else [])}
    seen: dict[str, ast.Module] = {}
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module not in seen and _top(module) in packages:
            seen[module] = _parse(module)
            waiting.extend(_imports(module, packages))
    text = "\n".join(f"{name}\n{ast.unparse(seen[name])}" for name in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _top(module: str) -> str:
    return module.split(".")[0]


def _path(module: str) -> Path:
    top, *parts = module.split(".")
    place = _folder(top).joinpath(*parts)
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _folder(top: str) -> Path:
    """Where a package lies; for a module that is one file, the file without its suffix."""
    if top == "wdattn":
        return PACKAGE
    spec = importlib.util.find_spec(top)
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no package {top!r} is installed, whose code a run rests on")
    return Path(spec.origin).with_suffix("")


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


def _imports(module: str, packages: Collection[str]) -> Iterator[str]:
    """The modules of these packages in which the names that `module` imports are defined."""
    tree = _parse(module)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names} - {"wdattn"}
            yield from (name for name in names if _top(name) in packages)
        elif isinstance(node, ast.ImportFrom) and _top(source := _source(module, node)) in packages:
            for alias in node.names:
                home = _home(source, alias.name)
                used = _attributes(tree, alias.asname or alias.name)
                # A room that is imported whole leads to what is used of it.
                whole = _path(home).name == "__init__.py" and used
                yield from {_home(home, name) for name in used} if whole else {home}


def _source(module: str, node: ast.ImportFrom) -> str:
    """The module that a `from` names: in full, or counted in dots from `module`."""
    if not node.level:
        return str(node.module)
    package = module.split(".") if _path(module).name == "__init__.py" else module.split(".")[:-1]
    above = package[: len(package) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


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
            source = _source(module, node)
            return _home(source, name) if _top(source) == _top(module) else module
    return module
