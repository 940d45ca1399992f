"""`wdattn report`: judges stored records anew and shows the ledger."""

from wdattn import papers
from wdattn.cli.output import note, say, show
from wdattn.ledger import Ledger
from wdattn.ledger.markdown import markdown
from wdattn.ledger.stored import to_json

FORMATS = {
    "table": lambda ledger: show(ledger),
    "markdown": lambda ledger: say(markdown(ledger.rows).rstrip()),
    "json": lambda ledger: say(to_json(ledger.rows).rstrip()),
}


def add_to(commands) -> None:
    """Adds the command to a parser's.

    Args:
        commands: what `add_subparsers` gave.
    """
    command = commands.add_parser("report", help="judge stored records anew and show the ledger")
    command.add_argument("folder", nargs="?", default="results", metavar="DIR")
    command.add_argument("--format", choices=(*FORMATS, "html"), default="table")
    command.set_defaults(call=call)


def call(options) -> int:
    """Shows the ledger, or writes the page with every figure.

    Args:
        options: what was parsed.
    """
    if options.format == "html":
        say(str(papers.write_report(options.folder, note)))
        return 0
    ledger: Ledger = papers.judged(options.folder, note)
    FORMATS[options.format](ledger)
    return 0
