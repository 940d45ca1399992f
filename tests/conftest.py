"""For every test: the backend's switches before Keras loads, a seeded generator, no network."""

import os
import socket

# JAX without x64 silently computes a float64 layer in float32; the switch must come before Keras.
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ["MPLBACKEND"] = "Agg"

import keras
import numpy as np
import pytest


@pytest.fixture
def rng():
    """A NumPy generator, the same for every test."""
    return np.random.default_rng(20240613)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A test that reaches for the network fails, and says what it reached for."""

    def refuse(self, address):
        raise AssertionError(f"a test tried to connect to {address!r}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True)
def fresh_keras():
    """Keras numbers unnamed layers per process; each test starts at the first."""
    keras.backend.clear_session(free_memory=False)  # collecting takes 0.2 to 0.4 s a test
