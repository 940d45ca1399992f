"""What the command prints; results on standard output, all else on standard error."""

import codecs
import contextlib
import os
import sys
import unicodedata
from typing import Any

from rich.console import Console
from rich.text import Text

LOOK_ALIKES = {
    "✓": "+", "✗": "x", "×": "x", "–": "-", "—": "-", "−": "-", "─": "-", "━": "-", "│": "|",
    "…": "...", "√": "sqrt", "Γ": "Gamma", "ᵀ": "^T", "≥": ">=", "≤": "<=",
}  # fmt: skip


class OutputLost(Exception):
    """Standard output cannot be written any more."""

    def __init__(self, error: OSError):
        self.reader_has_gone = isinstance(error, BrokenPipeError)
        super().__init__(f"standard output: {error.strerror or error}")


class Results(Console):
    """Standard output, whose failure is for `show` to tell."""

    def on_broken_pipe(self) -> None:
        """Rich would end the process."""
        raise BrokenPipeError


class Messages(Console):
    """Standard error; if nobody reads it, nothing is said, and the work goes on."""

    def __init__(self):
        super().__init__(stderr=True)

    def on_broken_pipe(self) -> None:
        """Rich would end the process."""
        self.quiet = True


def show(renderable: Any) -> None:
    """Prints something that rich can draw, on standard output.

    Args:
        renderable: a table, a ledger, or text.

    Raises:
        OutputLost: if it cannot be written.
    """
    _write(lambda: Results().print(renderable))


def say(text: str) -> None:
    """Prints text as it is, on standard output.

    Args:
        text: one or more lines.

    Raises:
        OutputLost: if it cannot be written.
    """
    _write(lambda: print(text))


def note(line: str) -> None:
    """Prints a line that concerns the reader, on standard error.

    Args:
        line: text.
    """
    with contextlib.suppress(OSError):
        Messages().print(Text(one_line(line), "yellow"), soft_wrap=True)


def one_line(text: str) -> str:
    """Text that a terminal shows as one line: what would act on the terminal is written out.

    Args:
        text: of any origin.
    """
    plain = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in plain)


def prepare() -> None:
    """Lets an output that does not know a character show one that looks like it."""
    codecs.register_error("look-alike", _look_alike)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="look-alike")


def finish() -> None:
    """Writes what is left, so that nothing is said about it when the process ends."""
    with contextlib.suppress(OutputLost):
        _write(lambda: None)


def _write(write) -> None:
    try:
        write()
        sys.stdout.flush()
    except OSError as error:
        # What is still in the buffer has to go somewhere.
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
            sys.stdout.flush()
        raise OutputLost(error) from None


def _look_alike(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unknown = error.object[error.start : error.end]
    return "".join(map(_ascii, unknown)), error.end


def _ascii(character: str) -> str:
    """What looks like it and is in every encoding."""
    known = LOOK_ALIKES.get(character)
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return known or plain or "?"
