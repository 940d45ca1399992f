"""Which backend is used, and who decided it; nothing here loads one."""

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import types

import pytest

from wdattn import backend_choice
from wdattn.backend_choice import NoBackend, choose, installed, use


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
    with pytest.raises(NoBackend, match=r'^torch \(--backend\) is not installed; type: '
                                        r'pip install "wdattn\[torch\]"$'):  # fmt: skip
        choose("torch")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(NoBackend, match=r'KERAS_BACKEND.*pip install "wdattn\[tensorflow\]"$'):
        choose()


def test_no_backend_at_all(have, keras_json):
    have()
    keras_json(backend="torch")
    with pytest.raises(
        NoBackend, match=r'^no backend is installed; type: pip install "wdattn\[jax'
    ):
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
