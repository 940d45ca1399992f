"""The guide says what the table of couplings says; tests/test_guides.py runs its code."""

from pathlib import Path

import pytest

from wdattn.optimizers import COUPLINGS, PRESETS

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "weight-decay.md").read_text("utf-8")


@pytest.mark.parametrize("name", COUPLINGS)
def test_couplings(name):
    row = next(line for line in GUIDE.splitlines() if line.startswith(f'| `"{name}"`'))
    assert COUPLINGS[name].formula in row and COUPLINGS[name].law in row


def test_presets():
    assert all(f'`"{name}"`' in GUIDE for name in PRESETS)
