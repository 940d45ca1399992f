"""The `wdattn` command: parses, calls, prints. A backend is chosen before Keras is imported."""

import argparse
import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wdattn import __version__, backend_choice, install, papers, spectra_command
from wdattn.ledger import Ledger, report
from wdattn.reproduction import Live, StoreBusy, WorkerLost

SCALES = ("smoke", "laptop", "paper")
FORMATS = ("table", "markdown", "json", "html")


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """One line and exit code 2: the usage is one `--help` away."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return options.call(options)
    except (ValueError, OSError, backend_choice.NoBackend, StoreBusy, WorkerLost) as error:
        parser.error(" ".join(str(error).split()))
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("wdattn", description="Re-measures what papers found on attention and decay.")
    parser.add_argument("--version", action="version", version=f"wdattn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("list", help="papers, experiments and claims")
    command.add_argument("keys", nargs="*", metavar="KEY")
    command.set_defaults(call=_list)

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
        "--scale", choices=SCALES, default=os.environ.get("WDATTN_SCALE", "laptop")
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
    command.set_defaults(call=_reproduce)

    command = commands.add_parser("report", help="judge stored records anew and show the ledger")
    command.add_argument("folder", nargs="?", default="results", metavar="DIR")
    command.add_argument("--format", choices=FORMATS, default="table")
    command.set_defaults(call=_report)

    spectra_command.add_to(commands)

    command = commands.add_parser("backends", help="which backends are installed, which is used")
    command.set_defaults(call=_backends)
    return parser


def _seeds(text: str) -> range:
    first, colon, second = text.partition(":")
    try:
        seeds = range(int(first), int(second)) if colon else range(int(first))
    except ValueError:
        seeds = range(0)
    if not seeds or seeds[0] < 0:
        raise argparse.ArgumentTypeError(f"must be N >= 1 or A:B with 0 <= A < B, got {text!r}")
    return seeds


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an int >= 1, got {text!r}")
    return int(text)


def _list(options) -> int:
    console = Console()
    for paper in map(papers.lookup, options.keys or papers.KEYS):
        table = Table(
            "claim",
            "experiment",
            "sentence",
            title=f"{paper.key}: {paper.title}",
            caption=paper.citation,
            title_justify="left",
            caption_justify="left",
        )
        for claim in paper.claims:
            name = f"{claim.id}*" if claim.id in paper.headline else claim.id
            table.add_row(name, claim.experiment.name, Text(claim.sentence))
        console.print(table)
    console.print("* headline: what `wdattn reproduce` without a key re-measures", highlight=False)
    return 0


def _reproduce(options) -> int:
    choice = {"scale": options.scale, "experiment": options.experiment, "claim": options.claim}
    keys = options.keys or (papers.KEYS if options.all else [None])
    for key in keys:
        papers.check(key, seeds=options.seeds, **choice)
    if options.scale not in SCALES:
        raise ValueError(f"WDATTN_SCALE must be one of {', '.join(SCALES)}, got {options.scale!r}")
    backend_choice.use(options.backend)
    choice |= {"seeds": options.seeds, "controls": options.controls, "out": options.out}
    if options.dry_run:
        Console().print(_plan([cost for key in keys for cost in papers.plan(key, **choice)]))
        return 0
    choice |= {"jobs": options.jobs, "progress": Live()}
    rows = [row for key in keys for row in papers.reproduce(key, **choice)]
    Console().print(Ledger(rows))
    page = papers.write_report(options.out)
    Console(stderr=True).print(Text(f"report: {page}"), soft_wrap=True)
    return 0


def _plan(costs) -> Table:
    table = Table(
        "paper",
        "experiment",
        "runs",
        "stored",
        "steps",
        "parameters",
        "time",
        "memory",
        caption="time: an estimate from two laptop cores with JAX and one job, runs and measures; "
        "memory: weights, gradients, optimizer state and batches of the largest stack",
        caption_justify="left",
    )
    for cost in costs:
        runs = f"{cost['runs']}+" if cost["searched"] else f"{cost['runs']}"
        table.add_row(
            cost["paper"],
            cost["experiment"],
            runs,
            f"{cost['stored']}",
            f"{cost['steps']}",
            f"{cost['parameters']}",
            _duration(cost["seconds"]),
            f"{cost['megabytes']:.1f} MB",
        )
    return table


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _report(options) -> int:
    if options.format == "html":
        print(papers.write_report(options.folder))
        return 0
    ledger = papers.judged(options.folder)
    if options.format == "table":
        Console().print(ledger)
    else:
        write = {"markdown": report.markdown, "json": report.to_json}[options.format]
        print(write(ledger.rows).rstrip())
    return 0


def _backends(options) -> int:
    table = Table("backend", "version", "used")
    found = backend_choice.installed()
    try:
        used, source = backend_choice.choose()
    except backend_choice.NoBackend as error:
        used, source = "", str(error)
    for name in backend_choice.BACKENDS:
        version = backend_choice.version(name) if name in found else ""
        shown = version or f"not installed: {install.missing(name)}"
        table.add_row(name, Text(shown), Text(f"yes ({source})" if name == used else ""))
    Console().print(table)
    if not used:
        raise backend_choice.NoBackend(source)
    return 0
