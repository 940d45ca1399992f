"""Ledger rows that were made up, and the toy paper's fixtures."""

import pytest

from tests.ledger_rows import made_part, made_row
from tests.toy_paper import experiment, finder, measures, paper, system, toy  # noqa: F401


@pytest.fixture
def part():
    """Makes a part of a row; `changes` replaces fields."""
    return made_part


@pytest.fixture
def row():
    """Makes a ledger row with all that a row can say; `changes` replaces fields."""
    return made_row


@pytest.fixture
def nulls():
    """A row without an effect."""
    empty = made_part(effect=None, interval=None, low=-float("inf"), high=-1.0,
                      verdict="inconclusive")  # fmt: skip
    return made_row(
        claim="C2", verdict="inconclusive", parts=(empty,), control=None, control_parts=()
    )


@pytest.fixture
def bare():
    """A row of which nothing was measured."""
    return made_row(
        claim="C3", parts=(), verdict="not judged", control=None, control_parts=(), choices=(),
        beside=(), builds=(), versions=(), why="no record of base: {}, seed 0",
    )  # fmt: skip


@pytest.fixture
def every():
    """A part of which every value is held to its bounds."""
    return made_part(label="", unit="share", effect=0.97, interval=None, low=0.0, high=1.0,
                     values=(0.9, 0.97), criterion="every", effects=5, reached=0.97)  # fmt: skip
