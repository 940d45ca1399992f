"""Live progress of the runs, in a terminal or a notebook."""

import contextlib
import warnings
from collections.abc import Callable, Iterator

from rich import progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn


class Progress:
    """Draws nothing."""

    @contextlib.contextmanager
    def stack(self, label: str, steps: int) -> Iterator[Callable[[int], None]]:
        """Yields a function to call with the number of steps taken since the last call.

        Several stacks may be under way at once.
        """
        yield lambda count: None

    def note(self, line: str) -> None:
        """Takes a line that concerns the reader, such as a file moved aside: a warning."""
        warnings.warn(line, stacklevel=2)


class Live(Progress):
    """A bar a stack, with the steps taken and the time that is left; done ones move up.

    Args:
        console: where to draw; standard error by default, so that results stay alone on stdout.
    """

    def __init__(self, console: Console | None = None):
        self.console = console or Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                   TimeRemainingColumn(elapsed_when_finished=True))  # fmt: skip
        live = self.console.is_terminal or self.console.is_jupyter
        self._bars = progress.Progress(
            *columns, console=self.console, transient=True, disable=not live
        )

    @contextlib.contextmanager
    def stack(self, label: str, steps: int) -> Iterator[Callable[[int], None]]:
        """Yields a function to call with the number of steps taken since the last call."""
        if not self._bars.tasks:
            self._bars.start()
        task = self._bars.add_task(label, total=max(steps, 1))
        try:
            yield lambda count: self._bars.advance(task, count)
            self._bars.update(task, completed=max(steps, 1))
        finally:
            # Above the live bars, of which a screen can hold only so many.
            (bar,) = (bar for bar in self._bars.tasks if bar.id == task)
            self.console.print(self._bars.make_tasks_table([bar]))
            self._bars.remove_task(task)
            if not self._bars.tasks:
                self._bars.stop()

    def note(self, line: str) -> None:
        """Prints the line above the bars."""
        self.console.print(line, style="yellow", highlight=False, markup=False)
