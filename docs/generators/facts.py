"""What pages may quote, by name: from the stored ledgers, and from the benchmarks' docstrings."""

import ast
from pathlib import Path

from wdattn import papers, spectra
from wdattn.ledger import Ledger
from wdattn.ledger.cells import measured
from wdattn.ledger.row import ordered
from wdattn.ledger.wording import control_name, region_name, verdict_name
from wdattn.plots.words import SIGNS, seeds

ROOT = Path(__file__).parents[2]
BACKENDS = {"jax": "JAX", "tensorflow": "TensorFlow", "torch": "PyTorch"}
HEADS = {"gpt2": (768, 64), "llama": (4096, 128)}  # width of the model, and of a head
# A number and its interval, a sign and its verdict, stay on one line.
NO_BREAK = "\N{NO-BREAK SPACE}"


def facts(root=ROOT):
    """Name to text: `{{name}}` on a page becomes the text.

    `ledger`, `papers` and `benchmarks` are whole sections. The others are short: `claims` is the
    number of claims, `reproduced` how many are reproduced on every backend, `reproduced.jax` on
    one. With KEY a paper and C1 a claim, `KEY.claims`, `KEY.reproduced` and `KEY.reproduced.jax`
    are those of a paper, `KEY.C1.jax` is what was measured, `KEY.C1` the same on each backend, and
    `KEY.C1.counts` what counts as reproduced.
    `spectra.null.MODEL` is the nuclear ratio of random factors of the shape of a model's heads.

    Args:
        root: Path of the checkout.
    """
    rows = [
        row
        for key in papers.keys()
        for row in Ledger.load(root / "docs" / "records" / key / "ledger.json")
    ]
    found = {"ledger": ledger(rows), "benchmarks": benchmarks(root / "benchmarks")}
    found |= _counts(rows) | {"papers": papers_table(rows)}
    for name, (width, rank) in HEADS.items():
        null = spectra.gaussian_null(width, width, rank)
        found[f"spectra.null.{name}"] = f"{null.nuclear_ratio:.2f}"
    for key in papers.keys():
        own = [row for row in rows if row.paper == key]
        quoted = _counts(own) | _measurements(own)
        found |= {f"{key}.{name}": text for name, text in quoted.items()}
    return found


def ledger(rows):
    """The ledger as tabs: the backends side by side, then a tab each.

    Args:
        rows: ledger rows.
    """
    rows = ordered(rows)
    tabs = ['=== "Side by side"\n\n' + _indented(_side_by_side(rows))]
    for backend, name in BACKENDS.items():
        own = [row for row in rows if row.backend == backend]
        lines = [(_named(row), _text(row.title), _measured(row), *_verdicts(row)) for row in own]
        head = ("Claim", "Finding", "Measured, 95 % interval", "Verdict", "Control")
        tabs.append(f'=== "{name}"\n\n' + _indented(f"{_table(head, lines)}\n\n{_made(own)}"))
    return "\n\n".join(tabs)


def benchmarks(folder):
    """A section for each benchmark: its docstring, which says how it is run and what it gave.

    Args:
        folder: Path of the scripts.
    """
    sections = []
    for path in sorted(folder.glob("*.py")):
        title, _, body = ast.get_docstring(ast.parse(path.read_text("utf-8"))).partition("\n")
        sections.append(f"## {path.stem.replace('_', ' ').capitalize()}\n\n**{title}**\n{body}")
    return "\n\n".join(sections)


def papers_table(rows):
    """A line for each paper, for a page beside `papers/`: its page, and how many claims hold.

    Args:
        rows: ledger rows.
    """
    lines = []
    for key in papers.keys():
        paper, counts = papers.lookup(key), _counts([row for row in rows if row.paper == key])
        named = f"[{key}](papers/{key}.md)<br>*{_text(paper.title)}*<br>{_text(paper.citation)}"
        held = "<br>".join(
            f"{counts[f'reproduced.{backend}']}{NO_BREAK}on{NO_BREAK}{name}"
            for backend, name in BACKENDS.items()
        )
        lines.append((named, counts["claims"], held))
    return _table(("Paper", "Claims", "Reproduced"), lines)


def _counts(rows):
    """How many claims there are, and how many reach each verdict: on every backend, and on one."""
    reached = {}
    for row in rows:
        reached.setdefault((row.paper, row.claim), {})[row.backend] = row.verdict
    found = {"claims": str(len(reached))}
    for verdict in SIGNS:
        name = verdict.replace(" ", "_")
        found[name] = str(sum(set(by.values()) == {verdict} for by in reached.values()))
        for backend in BACKENDS:
            count = sum(by.get(backend) == verdict for by in reached.values())
            found[f"{name}.{backend}"] = str(count)
    return found


def _measurements(rows):
    """What was measured for each claim of a paper, and what counts."""
    quoted = {}
    for row in rows:
        told = _measured(row, between="; ")
        quoted[f"{row.claim}.counts"] = region_name(row.parts[0]) if row.parts else ""
        quoted[f"{row.claim}.{row.backend}"] = told
        so_far = f"{quoted[row.claim]}, " if row.claim in quoted else ""
        quoted[row.claim] = f"{so_far}{told} on {BACKENDS[row.backend]}"
    return quoted


def _side_by_side(rows):
    lines = []
    for claim in dict.fromkeys((row.paper, row.claim) for row in rows):
        own = {row.backend: row for row in rows if (row.paper, row.claim) == claim}
        first = next(iter(own.values()))
        cells = (
            f"{_measured(own[b])}<br>{_verdicts(own[b])[0]}" if b in own else "" for b in BACKENDS
        )
        lines.append((_named(first), _text(first.title), *cells))
    return _table(("Claim", "Finding", *BACKENDS.values()), lines)


def _named(row):
    return f"**{row.claim}**<br>[{row.paper}](papers/{row.paper}.md)"


def _measured(row, between="<br>"):
    return between.join(_text(line.replace(" ", NO_BREAK)) for line in measured(row))


def _verdicts(row):
    return verdict_name(row.verdict).replace(" ", NO_BREAK), control_name(row.control)


def _made(rows):
    """How one backend's rows were made; they name it once where they agree."""
    versions = sorted(
        {
            "{backend} {backend_version}, Keras {keras}, NumPy {numpy}, {device}".format(**versions)
            for row in rows
            for versions in row.versions
        }
    )
    scales = " and ".join(sorted({row.scale for row in rows}))
    drawn = " or ".join(dict.fromkeys(seeds(row.seeds) for row in rows))
    return f"Scale {scales}, seeds {drawn}; made with {'; '.join(versions)}."


def _text(words):
    return words.replace("|", "\\|").replace("[", "\\[").replace("]", "\\]")


def _table(head, lines):
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _indented(text):
    return "\n".join(f"    {line}".rstrip() for line in text.split("\n"))
