"""Every public name has a docstring whose Args are its signature, and a page in the docs."""

import dataclasses
import importlib
import inspect
import re
from pathlib import Path

import keras
import pytest

import wdattn

ROOT = Path(__file__).parents[1]
API = ROOT / "docs" / "api"

# `backend` is the others' ground floor: its names have the same face in `autodiff`.
ROOMS = [name for name in wdattn.__all__ if name not in ("__version__", "reproduce", "backend")]


def public_names():
    """Room, name and thing: what a room lists, and what stands in a module that it lists."""
    for room in ROOMS:
        module = importlib.import_module(f"wdattn.{room}")
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            yield room, name, thing
            if inspect.ismodule(thing):
                for inner, part in vars(thing).items():
                    if inner[0] != "_" and getattr(part, "__module__", "") == thing.__name__:
                        yield room, f"{name}.{inner}", part


NAMES = list(public_names())


def parameters(function) -> set[str]:
    """Names that a caller may pass; `**kwargs` go on to a base class that documents them."""
    found = inspect.signature(function).parameters.values()
    return {p.name for p in found if p.name != "self" and p.kind is not p.VAR_KEYWORD}


def expected(thing) -> set[str]:
    """What must stand under `Args`."""
    if not inspect.isclass(thing):
        return parameters(thing)
    if dataclasses.is_dataclass(thing):
        return {field.name for field in dataclasses.fields(thing) if field.init}
    owner = next(base for base in thing.__mro__ if "__init__" in vars(base))
    ours = owner.__module__.partition(".")[0] == thing.__module__.partition(".")[0]
    return parameters(owner.__init__) if ours else set()


def documented(thing, section: str) -> set[str]:
    """The names under a section of the docstring; a line that is none is given as it stands."""
    lines = iter(inspect.getdoc(thing).splitlines())
    if f"{section}:" not in lines:  # consumes the lines up to it
        return set()
    found = set()
    for line in lines:
        if line and not line.startswith(" "):
            break
        if re.match(r"    \S", line):
            names, colon, _ = line.strip().partition(":")
            plain = re.fullmatch(r"\*{0,2}\w+(, \*?\w+)*", names) and colon
            found |= set(names.split(", ")) if plain else {line}
    return {name.removeprefix("*") for name in found if not name.startswith("**")}


def objections(thing) -> list[str]:
    """What is wrong with the documentation of a public name."""
    own = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    if not own or re.match(r"\w+\(.*\)$", own):  # dataclasses write their signature there
        return ["no docstring"]
    if inspect.ismodule(thing):
        return []
    found = []
    before = inspect.getdoc(thing).partition(">>>")[0]
    if before != inspect.getdoc(thing) and not re.search(r"\nExamples:\n\s+$", before):
        found.append("a >>> stands outside `Examples:`, where the page shows it as plain text")
    wanted, written = expected(thing), documented(thing, "Args")
    if wanted != written:
        found.append(f"Args are {sorted(written)}, the signature has {sorted(wanted)}")
    if inspect.isclass(thing) and issubclass(thing, keras.layers.Layer):
        wanted, written = parameters(thing.call), documented(thing, "Call arguments")
        if wanted != written:
            found.append(f"Call arguments are {sorted(written)}, `call` has {sorted(wanted)}")
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_documentation_equals_signature(room):
    own = {name: thing for of, name, thing in NAMES if of == room and has_docstring(thing)}
    wrong = [f"{name}: {line}" for name, thing in own.items() for line in objections(thing)]
    assert not wrong, "\n".join(wrong)


def has_docstring(thing) -> bool:
    """A constant has none: the line of text under it is for the page alone."""
    return inspect.isroutine(thing) or inspect.isclass(thing) or inspect.ismodule(thing)


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_is_on_the_page_of_its_room(room):
    page = (API / f"{room}.md").read_text("utf-8").splitlines()
    wanted = {
        f"::: {place(room, name, thing)}"
        for own, name, thing in NAMES
        if own == room and "." not in name and at_home(room, thing)
    }
    lacking = sorted(wanted - set(page))
    assert not lacking, "\n".join([f"docs/api/{room}.md lacks the lines", *lacking])


def at_home(room, thing):
    """Whether a room defines the thing: what it re-exports is on the page of the other one."""
    module = getattr(thing, "__module__", None)
    return module is None or module.split(".")[:2] == ["wdattn", room]


def place(room, name, thing):
    """Where a name is defined: `wdattn.ops.moments` alone would be the module of that name."""
    if inspect.isclass(thing) or inspect.isfunction(thing):
        return f"{thing.__module__}.{thing.__qualname__}"
    return f"wdattn.{room}.{name}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_public_and_has_a_page(room):
    module = importlib.import_module(f"wdattn.{room}")
    assert len(module.__doc__) > 20, "a room says what it is"
    assert module.__all__, "and lists its public names"
    assert (API / f"{room}.md").read_text("utf-8").startswith(f"::: wdattn.{room}\n")
    assert f"api/{room}.md" in (ROOT / "mkdocs.yml").read_text("utf-8")


def test_the_top_lists_every_room():
    package = Path(wdattn.__file__).parent
    there = {p.stem for p in package.iterdir() if (p / "__init__.py").exists() or p.suffix == ".py"}
    not_rooms = {"__init__", "__main__", "arguments", "backend_choice", "cli", "install"}
    assert there - not_rooms == {*ROOMS, "backend"}


def good(width, *inputs, depth=3, **kwargs):
    """Does it.

    Args:
        width: int >= 1.
            Written: over two lines.
        *inputs: tensors.
        depth: int >= 1.
        **kwargs: for the base class.

    Returns:
        Nothing: this is a sample.

    Examples:
        >>> 1 + 1
        2
    """


def silent(width): ...


def forgotten(width, depth):
    """Does it.

    Args:
        width: int >= 1.
    """


def gone(width):
    """Does it.

    Args:
        width: int >= 1.
        depth: int >= 1.
    """


def loose(width):
    """Does it.

    Args:
        width (int) is at least 1.
    """


@dataclasses.dataclass
class Undescribed:
    width: int


def shown(width):
    """Does it.

    Args:
        width: int >= 1.

    >>> 1 + 1
    2
    """


@dataclasses.dataclass
class Record:
    """Holds it.

    Args:
        depth: int >= 1.
    """

    width: int


class Layer(keras.layers.Layer):
    """Layer of width.

    Args:
        width: int >= 1.
    """

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)

    def call(self, inputs): ...


class Heir(Layer):
    def call(self, inputs): ...


def test_the_checker_can_say_no():
    for bad in (silent, forgotten, gone, loose, shown, Undescribed, Record, Layer, Heir):
        assert objections(bad), bad


def test_the_checker_lets_the_good_one_pass():
    assert objections(good) == []
