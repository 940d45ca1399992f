"""Which backend is used, and who decided it; nothing here loads one."""

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import keras
import pytest

from wdattn import backend_choice, install
from wdattn.backend_choice import NoBackend, choose, installed, use

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def nobody_chose(monkeypatch, tmp_path):
    """No variable, no keras.json, and no Keras that was loaded by another test."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "keras", raising=False)


@pytest.fixture
def have(monkeypatch):
    """Makes these backends the installed ones."""

    def only(*names):
        real = importlib.util.find_spec

        def find_spec(name, package=None):
            if name in backend_choice.BACKENDS:
                return types.SimpleNamespace(name=name) if name in names else None
            return real(name, package)

        monkeypatch.setattr(importlib.util, "find_spec", find_spec)

    return only


@pytest.fixture
def keras_json(tmp_path):
    """Writes the user's keras.json."""

    def write(**config):
        (tmp_path / "keras.json").write_text(json.dumps(config))
        return str(tmp_path / "keras.json")

    return write


def test_installed_keeps_the_order(have):
    have("tensorflow", "torch", "jax")
    assert installed() == ("jax", "torch", "tensorflow")
    have("tensorflow")
    assert installed() == ("tensorflow",)
    have()
    assert installed() == ()


def test_the_order_of_who_decides(have, keras_json, monkeypatch):
    have("jax", "torch", "tensorflow")
    assert choose() == ("jax", "first installed")
    path = keras_json(backend="tensorflow")
    assert choose() == ("tensorflow", path)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert choose() == ("torch", "KERAS_BACKEND")
    assert choose("jax") == ("jax", "--backend")


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (("jax", "torch", "tensorflow"), "jax"),
        (("torch", "tensorflow"), "torch"),
        (("tensorflow",), "tensorflow"),
    ],
)
def test_the_first_installed(have, names, first):
    have(*names)
    assert choose() == (first, "first installed")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "",
        "[]",
        "3",
        '{"backend": 3}',
        '{"backend": "theano"}',
        '{"backend": "tensorflow"}',  # which is not installed
        '{"floatx": "float32"}',
        '\ufeff{"backend": "torch"',
    ],
)
def test_a_keras_json_that_says_nothing_usable(have, tmp_path, text):
    have("jax", "torch")
    (tmp_path / "keras.json").write_text(text, "utf-8")
    assert choose() == ("jax", "first installed")


def test_the_keras_json_that_keras_writes_unasked_is_nobodys_choice(have, tmp_path):
    # Asked of the installed Keras, which writes it on the first import.
    code = "import keras"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ,
                   "KERAS_BACKEND": "numpy", "KERAS_HOME": str(tmp_path)})  # fmt: skip
    assert json.loads((tmp_path / "keras.json").read_text())["backend"] == "tensorflow"
    have("jax", "torch", "tensorflow")
    assert choose() == ("jax", "first installed")


def test_no_keras_home_is_the_users_own(have, monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text('{"backend": "torch"}')
    have("jax", "torch")
    assert choose() == ("torch", str(tmp_path / ".keras" / "keras.json"))


@pytest.mark.parametrize("name", ["theano", "JAX", "numpy", "pytorch"])
def test_an_unknown_backend_raises_and_lists(have, monkeypatch, name):
    have("jax", "torch", "tensorflow")
    message = f"must be one of jax, torch, tensorflow, got '{name}'"
    with pytest.raises(ValueError, match=f"--backend {message}"):
        choose(name)
    monkeypatch.setenv("KERAS_BACKEND", name)
    with pytest.raises(ValueError, match=f"KERAS_BACKEND {message}"):
        choose()


def test_what_is_not_installed_comes_with_the_line_to_type(have, monkeypatch):
    have("jax")
    line = re.escape(install.missing("torch"))
    with pytest.raises(NoBackend, match=rf"^torch \(--backend\) is not installed; type: {line}$"):
        choose("torch")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(
        NoBackend, match=f"KERAS_BACKEND.*{re.escape(install.missing('tensorflow'))}$"
    ):
        choose()


def test_no_backend_at_all(have, keras_json):
    have()
    keras_json(backend="torch")
    line = re.escape(install.missing("jax"))
    with pytest.raises(NoBackend, match=f"^no backend is installed; type: {line}$"):
        choose()


def test_use_tells_keras(have, monkeypatch):
    have("jax", "torch")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert use("torch") == "torch"
    assert os.environ["KERAS_BACKEND"] == "torch"


def test_use_after_keras_was_loaded_with_another(have, monkeypatch):
    have("jax", "torch")
    config = types.SimpleNamespace(backend=lambda: "jax")
    monkeypatch.setitem(sys.modules, "keras", types.SimpleNamespace(config=config))
    assert use("jax") == "jax"
    with pytest.raises(
        ValueError, match=r"torch \(--backend\) cannot be used: Keras was already im"
    ):
        use("torch")
    assert os.environ["KERAS_BACKEND"] == "jax"


def test_versions(monkeypatch):
    assert backend_choice.version("keras") == importlib.metadata.version("keras")
    assert backend_choice.version("tensorflow-of-another-name") == "installed, under another name"


def test_choosing_loads_nothing():
    code = """
import sys, wdattn.backend_choice
wdattn.backend_choice.choose()
print(sorted({"keras", "jax", "torch", "tensorflow", "numpy"} & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


# Run in a process where no other backend than `only` can be found, as where it is not installed.
HIDE = """
import os, sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in hidden:
            return self.finder.find_spec(name, path, target)

os.environ.pop("KERAS_BACKEND", None)
hidden = {{"jax", "torch", "tensorflow"}} - {{{only!r}}}
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
{code}
import keras
print(keras.config.backend())
"""
FIRST = {
    "a class of a room": "from wdattn.layers import MultiHeadAttention",
    "a room on first use": "import wdattn; wdattn.optimizers",
    "reproduce": "import wdattn; wdattn.reproduce('ahn2024', claim='C3', scale='smoke', seeds=2)",
}
BACKEND = keras.config.backend()


def fresh(code, only, folder):
    """What a new process prints that has one backend, and what it says where it fails."""
    return subprocess.run(
        [sys.executable, "-c", HIDE.format(only=only, code=code)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("code", FIRST.values(), ids=FIRST)
def test_what_is_loaded_first_chooses_the_backend_that_is_installed(code, tmp_path):
    ran = fresh(code, BACKEND, tmp_path)
    assert ran.stdout.splitlines()[-1:] == [BACKEND], ran.stderr


def test_without_a_backend_the_first_room_says_what_to_type(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = fresh("import wdattn.layers", None, tmp_path)
    assert ran.returncode and ran.stderr.splitlines()[-1].endswith(install.missing("jax"))


def test_what_keras_has_loaded_already_is_used(tmp_path):
    other = {"jax": "torch", "torch": "tensorflow", "tensorflow": "jax"}[BACKEND]
    code = f"""
os.environ["KERAS_BACKEND"] = {BACKEND!r}
import keras
os.environ["KERAS_BACKEND"] = {other!r}
import wdattn.layers
"""
    assert fresh(code, BACKEND, tmp_path).stdout == f"{BACKEND}\n"


def test_in_a_checkout_the_line_names_it(monkeypatch, tmp_path):
    (tmp_path / "constraints.txt").touch()
    monkeypatch.setattr(install, "ROOT", tmp_path)
    line = f'pip install -c {tmp_path}/constraints.txt -e "{tmp_path}/[torch]"'
    assert install.missing("torch") == line
    monkeypatch.chdir(tmp_path)
    assert install.missing("torch") == 'pip install -c constraints.txt -e ".[torch]"'


def test_without_a_checkout_the_line_names_where_the_package_is(monkeypatch, tmp_path):
    monkeypatch.setattr(install, "ROOT", tmp_path)
    assert install.missing("hub") == install.pip_line("hub")
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["urls"]["Repository"] == install.REPOSITORY
    assert {"hub", "cv", *backend_choice.BACKENDS} <= set(project["optional-dependencies"])
