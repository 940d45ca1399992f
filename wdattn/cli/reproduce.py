"""`wdattn reproduce`: re-measures claims, writes the report and prints the ledger."""

import argparse
import importlib
import os
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from wdattn import backend_choice, papers
from wdattn.cli.interrupts import ends_at_once
from wdattn.cli.output import Messages, note, show
from wdattn.ledger import Ledger, Outlook
from wdattn.ledger.seeds import MOST, checked_seeds
from wdattn.reproduction import Live


def add_to(commands) -> None:
    """Adds the command to a parser's.

    Args:
        commands: what `add_subparsers` gave.
    """
    command = commands.add_parser("reproduce", help="re-measure claims and print the ledger")
    command.add_argument(
        "keys",
        nargs="*",
        metavar="KEY",
        help="papers, every claim of each; without one, the headlines of all",
    )
    command.add_argument("--all", action="store_true", help="every claim of every paper")
    command.add_argument("--experiment", metavar="E", help="only claims that read this experiment")
    command.add_argument("--claim", metavar="C6", help="only this claim")
    command.add_argument(
        "--scale",
        metavar="NAME",
        default=os.environ.get("WDATTN_SCALE", "laptop"),
        help="smoke (does it run?), laptop (minutes), paper (the paper's own settings), or another "
        "that the paper has",
    )
    command.add_argument("--backend", choices=backend_choice.BACKENDS)
    command.add_argument(
        "--seeds",
        type=_seeds,
        metavar="N|A:B",
        help="the first N seeds, or A to B - 1, in place of the scale's",
    )
    command.add_argument(
        "--controls", action="store_true", help="also run each claim with its mechanism removed"
    )
    command.add_argument("--dry-run", action="store_true", help="print what would run, and stop")
    command.add_argument("--out", default="results", metavar="DIR")
    command.add_argument(
        "--jobs",
        type=_jobs,
        metavar="N",
        help="processes that make runs at a time, each on its share of the cores; "
        "by default one a core up to four, and one on a GPU",
    )
    command.set_defaults(call=call)


def call(options) -> int:
    """Re-measures, or with `--dry-run` says what that would take.

    The files are written before anything is printed: an output that fails costs the table alone.

    Args:
        options: what was parsed.
    """
    named = {"scale": options.scale, "experiment": options.experiment, "claim": options.claim}
    keys = options.keys or (papers.keys() if options.all else [None])
    for key in keys:
        papers.check(key, seeds=options.seeds, **named)
    backend_choice.use(options.backend)
    with ends_at_once():  # Keras and its backend take seconds, in which nothing is under way
        importlib.import_module("wdattn.backend")
    named |= {"seeds": options.seeds, "controls": options.controls, "out": options.out}
    if options.dry_run:
        show(_plan([outlook for key in keys for outlook in papers.plan(key, **named)]))
        return 0
    named |= {"jobs": options.jobs, "progress": Live(Messages())}
    rows = [row for key in keys for row in papers.reproduce(key, **named)]
    page = papers.write_report(options.out, note)
    Messages().print(Text(f"report: {page}"), soft_wrap=True)
    show(Ledger(rows))
    return 0


def _seeds(text: str) -> Sequence[int]:
    first, colon, second = text.partition(":")
    try:
        return checked_seeds(range(int(first), int(second)) if colon else int(first))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be N >= 1 or A:B with 0 <= A < B, at most {MOST} seeds, got {text!r}"
        ) from None


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an int >= 1, got {text!r}")
    return int(text)


def _plan(outlooks: Sequence[Outlook]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        pad_edge=False,
        caption="time: an estimate from two laptop cores with JAX and one job, runs and measures; "
        "memory: weights, gradients, optimizer state and batches of the largest stack",
        caption_justify="left",
    )
    table.add_column("experiment", no_wrap=True)
    for name in ("runs", "stored", "steps", "weights", "time", "memory"):
        table.add_column(name, no_wrap=True, justify="right")
    paper = None
    for one in outlooks:
        if one.paper != paper:
            paper = one.paper
            table.add_row(Text(paper, "bold"))
        table.add_row(
            one.experiment,
            f"{one.runs}+" if one.searched else f"{one.runs}",
            f"{one.stored}",
            f"{one.steps}",
            f"{one.parameters}",
            _duration(one.seconds),
            f"{one.megabytes:.1f} MB",
        )
    return table


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
