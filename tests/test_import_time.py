"""What `import wdattn` costs, and what is loaded before a backend is chosen."""

import subprocess
import sys
from pathlib import Path

import pytest

PAPERS = Path(__file__).parents[1] / "wdattn" / "papers"
LIGHT = [
    *("wdattn.cli", "wdattn.backend_choice", "wdattn.papers", "wdattn.reproduction"),
    "wdattn.spectra",
    "wdattn.weights",
    *(f"wdattn.papers.{folder.parent.name}" for folder in sorted(PAPERS.glob("*/__init__.py"))),
]
HEAVY = {"keras", "jax", "tensorflow", "torch"}


def fresh(code: str) -> str:
    """What a new interpreter prints that runs `code`."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def loaded_by(module: str) -> set[str]:
    names = fresh(f"import sys, {module}; print(*sys.modules)").split()
    return {name.split(".")[0] for name in names}


def test_importing_wdattn_adds_less_than_three_tenths_of_a_second():
    # It loads no Keras, so its time alone is at least what it adds to `import keras`. The smallest
    # of three: the others hold what else the machine was doing.
    clock = (
        "from time import perf_counter as now; start = now(); import wdattn; print(now() - start)"
    )
    assert min(float(fresh(clock)) for _ in range(3)) < 0.3


def test_importing_wdattn_loads_nothing_heavy():
    assert not loaded_by("wdattn") & (HEAVY | {"numpy", "scipy", "matplotlib"})


@pytest.mark.parametrize("module", LIGHT)
def test_a_backend_can_still_be_chosen_after_importing(module):
    assert not loaded_by(module) & HEAVY


def test_a_room_is_loaded_when_it_is_used():
    loaded = fresh("import sys, wdattn; wdattn.plots; print(*sys.modules)").split()
    assert "wdattn.plots" in loaded and "keras" not in loaded
