"""Small weight files."""

import pytest

from tests.weight_files import write_safetensors


@pytest.fixture
def safetensors():
    return write_safetensors
