"""Parses the command line and calls what it names; a command is a file of this room."""

import argparse
from collections.abc import Sequence

from wdattn import __version__, backend_choice
from wdattn.cli import backends, listing, new_paper, output, report, reproduce, spectra
from wdattn.reproduction import StoreBusy, WorkerLost

COMMANDS = (listing, reproduce, report, spectra, new_paper, backends)
REFUSED = (ValueError, OSError, backend_choice.NoBackend, StoreBusy, WorkerLost)
"""What ends the command with one line and exit code 2."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line: the usage is one `--help` away."""

    def error(self, message):
        """Ends the process with exit code 2."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def parser() -> Parser:
    """What the command understands."""
    whole = Parser("wdattn", description="Re-measures what papers found on attention and decay.")
    whole.add_argument("--version", action="version", version=f"wdattn {__version__}")
    commands = whole.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    return whole


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns the exit code.

    Args:
        arguments: those of the process by default.
    """
    output.prepare()
    whole = parser()
    try:
        options = whole.parse_args(arguments)
        return options.call(options)
    except output.OutputLost as lost:
        if lost.reader_has_gone:
            return 141  # as if the signal had ended us, which Python ignores
        output.note(f"{whole.prog}: {lost}")
        return 1
    except REFUSED as error:
        whole.error(output.one_line(str(error)))
    finally:
        output.finish()
