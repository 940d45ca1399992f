"""`wdattn new-paper`: lays the folder of a new paper."""

from wdattn import papers
from wdattn.cli.output import say


def add_to(commands) -> None:
    """Adds the command to a parser's.

    Args:
        commands: what `add_subparsers` gave.
    """
    command = commands.add_parser("new-paper", help="lay the folder of a new paper")
    command.add_argument("key", metavar="KEY", help="the first author's name and the year")
    command.add_argument("--folder", metavar="DIR", help=FOLDER)
    command.set_defaults(call=call)


FOLDER = "where the package is laid; by default among our papers"


def call(options) -> int:
    """Writes the files and says where they are.

    Args:
        options: what was parsed.
    """
    say(str(papers.new_paper(options.key, options.folder)))
    return 0
