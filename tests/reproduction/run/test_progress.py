"""The bars: one display for all stacks that are under way, and a line for each that is done."""

import io

import pytest
from rich.console import Console

from wdattn.reproduction import Live, Progress


@pytest.fixture(params=["terminal", "file"])
def console(request):
    terminal = request.param == "terminal"
    return Console(file=io.StringIO(), width=100, force_terminal=terminal, color_system=None)


def lines(console) -> list[str]:
    """What was written, without the movements of the cursor."""
    return [line for line in console.file.getvalue().splitlines() if line.strip()]


def test_stacks_share_one_display(console):
    live = Live(console)
    with live.stack("alpha: 3 runs", 10) as alpha:
        with live.stack("beta: 2 runs", 4) as beta:
            beta(3)
            alpha(4)
            assert [(bar.description, bar.completed) for bar in live._bars.tasks] == [
                ("alpha: 3 runs", 4),
                ("beta: 2 runs", 3),
            ]
        assert [bar.description for bar in live._bars.tasks] == ["alpha: 3 runs"]
        assert any("beta: 2 runs" in line and "4/4" in line for line in lines(console))
    assert live._bars.tasks == [] and not live._bars.live.is_started
    assert any("alpha: 3 runs" in line and "10/10" in line for line in lines(console))


def test_one_after_the_other(console):
    live = Live(console)
    for label in ("alpha", "beta"):
        with live.stack(label, 0) as advance:
            advance(0)
    assert sum("1/1" in line for line in lines(console)) >= 2
    assert not live._bars.live.is_started


def test_a_failure_leaves_the_bar_where_it_was_and_stops(console):
    live = Live(console)
    with pytest.raises(KeyError):
        with live.stack("alpha", 4) as advance:
            advance(1)
            live.note("[one] was moved aside")
            raise KeyError
    assert any("alpha" in line and "1/4" in line for line in lines(console))
    assert any("[one] was moved aside" in line for line in lines(console))
    assert not live._bars.live.is_started


def test_a_file_gets_a_line_a_stack():
    console = Console(file=io.StringIO(), width=100)
    live = Live(console)
    with live.stack("alpha", 4), live.stack("beta", 4):
        pass
    assert [line.split()[0] for line in console.file.getvalue().splitlines()] == ["beta", "alpha"]


def test_silence_takes_everything():
    with Progress().stack("alpha", 4) as alpha, Progress().stack("beta", 4) as beta:
        alpha(1)
        beta(2)
    with pytest.warns(UserWarning, match="moved aside"):
        Progress().note("one was moved aside")
