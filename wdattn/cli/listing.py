"""`wdattn list`: papers, experiments and claims."""

from rich import box
from rich.table import Table
from rich.text import Text

from wdattn import papers
from wdattn.cli.output import show


def add_to(commands) -> None:
    """Adds the command to a parser's.

    Args:
        commands: what `add_subparsers` gave.
    """
    command = commands.add_parser("list", help="papers, experiments and claims")
    command.add_argument("keys", nargs="*", metavar="KEY")
    command.set_defaults(call=call)


def call(options) -> int:
    """Prints a table of claims for each paper.

    Args:
        options: what was parsed.
    """
    for paper in map(papers.lookup, options.keys or papers.keys()):
        table = Table(
            title=f"{paper.key}: {paper.title}",
            caption=paper.citation,
            title_justify="left",
            caption_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 2, 0, 0),
            pad_edge=False,
        )
        for name in ("claim", "experiment"):
            table.add_column(name, no_wrap=True)
        table.add_column("sentence")
        for claim in paper.claims:
            name = f"{claim.id}*" if claim.id in paper.headline else claim.id
            table.add_row(name, claim.experiment.name, Text(claim.sentence))
        show(table)
    show("* headline: what `wdattn reproduce` without a key re-measures")
    return 0
