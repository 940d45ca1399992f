"""Live progress of the runs, in a terminal or a notebook."""

import contextlib
import warnings
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Silent:
    """Draws nothing."""

    @contextlib.contextmanager
    def stack(self, label: str, steps: int) -> Iterator[Callable[[int], None]]:
        """Yields a function to call with the number of steps taken since the last call."""
        yield lambda count: None

    def note(self, line: str) -> None:
        """Takes a line that concerns the reader, such as a file moved aside: a warning."""
        warnings.warn(line, stacklevel=2)


class Live(Silent):
    """A bar a stack, with the steps taken and the time that is left.

    Args:
        console: where to draw; standard error by default, so that results stay alone on stdout.
    """

    def __init__(self, console: Console | None = None):
        self.console = console or Console(stderr=True)

    @contextlib.contextmanager
    def stack(self, label: str, steps: int) -> Iterator[Callable[[int], None]]:
        """Yields a function to call with the number of steps taken since the last call."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                   TimeRemainingColumn(elapsed_when_finished=True))  # fmt: skip
        with Progress(*columns, console=self.console) as bar:
            task = bar.add_task(label, total=max(steps, 1))
            yield lambda count: bar.advance(task, count)
            bar.update(task, completed=max(steps, 1))

    def note(self, line: str) -> None:
        """Prints the line above the bars."""
        self.console.print(line, style="yellow", highlight=False, markup=False)
