"""`wdattn backends`: which backends are installed, and which is used."""

from rich import box
from rich.table import Table
from rich.text import Text

from wdattn import backend_choice, install
from wdattn.cli.output import say, show


def add_to(commands) -> None:
    """Adds the command to a parser's.

    Args:
        commands: what `add_subparsers` gave.
    """
    command = commands.add_parser("backends", help="which backends are installed, which is used")
    command.set_defaults(call=call)


def call(options) -> int:
    """Prints a line for each backend; an error if there is none.

    Args:
        options: what was parsed.
    """
    table = Table("backend", "version", "used", box=box.SIMPLE_HEAD, pad_edge=False)
    present = backend_choice.installed()
    try:
        used, source = backend_choice.choose()
    except backend_choice.NoBackend as error:
        used, source = "", str(error)
    for name in backend_choice.BACKENDS:
        version = backend_choice.version(name) if name in present else "not installed"
        table.add_row(name, version, Text(f"yes ({source})" if name == used else ""))
    show(table)
    for name in backend_choice.BACKENDS:
        if name not in present:
            say(f"{name}: {install.missing(name)}")
    if not used:
        raise backend_choice.NoBackend(source)
    return 0
