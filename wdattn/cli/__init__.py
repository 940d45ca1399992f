"""The `wdattn` command. A backend is chosen before Keras is imported.

Importing it imports nothing: from its first moment on, Ctrl-C ends the command with one line.
"""

import sys
from collections.abc import Sequence

from wdattn.cli.interrupts import INTERRUPTED, ends_at_once

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: those of the process by default.

    Returns:
        The exit code: 0; 1 if the output could not be written, 141 if its reader has gone; 130
        after Ctrl-C. Wrong arguments and files end the process with code 2 and one line.
    """
    with ends_at_once():
        from wdattn.cli.command import run
    try:
        return run(arguments)
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        return 130
