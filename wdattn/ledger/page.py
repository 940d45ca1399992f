"""The report as one page of HTML that needs nothing but itself."""

from collections.abc import Sequence
from html import escape
from importlib import resources

from wdattn.ledger.agreement import agreement
from wdattn.ledger.drift import drift
from wdattn.ledger.markup import anchor, table, verdict
from wdattn.ledger.page_claim import claim
from wdattn.ledger.page_figures import PageFigure, PaperFigures
from wdattn.ledger.row import Row, ordered
from wdattn.ledger.wording import criteria
from wdattn.plots import words
from wdattn.plots.words import effect_name
from wdattn.reproduction.design.paper import Paper

GUIDE = {
    "interval": {
        "reproduced": "the whole interval lies where the effect counts.",
        "contradicted": "the whole interval lies where it does not count.",
        "inconclusive": "the interval reaches across the edge, or a number is missing.",
    },
    "every": {
        "reproduced": "every value of every seed lies within its bounds.",
        "contradicted": "some value lies outside of its bounds on every seed.",
        "inconclusive": "some value lies outside on some seed, or a number is missing.",
    },
}
NOT_JUDGED = "a precondition failed or there is no data; the reason is given."
SAMPLE = {
    "interval": "The interval is the 95 % Student t interval over seeds.",
    "every": "Where a claim bounds every value, the one that lies farthest out is shown.",
}
# Says to the browser what the page promises: nothing is fetched, nothing runs.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def html(papers: Sequence[Paper], rows: Sequence[Row], figures: Sequence[PageFigure]) -> str:
    """The report: verdicts first, then each claim with its figure, effect and control.

    Args:
        papers: in the order in which they are shown.
        rows: ledger rows.
        figures: of the papers.

    Returns:
        A whole HTML page, figures included: no request, no script.

    Raises:
        ValueError: if a row or a figure belongs to none of the papers.
    """
    keys = [paper.key for paper in papers]
    given: dict[str, Sequence[Row] | Sequence[PageFigure]] = {"rows": rows, "figures": figures}
    for name, entries in given.items():
        if strange := sorted({one.paper for one in entries} - set(keys)):
            raise ValueError(f"`{name}` has papers {strange}, `papers` has only {keys}")
    rows = sorted(ordered(rows), key=lambda row: keys.index(row.paper))
    claims = len({(row.paper, row.claim) for row in rows})
    title = f"{_count(claims, 'claim')} of {_count(len(papers), 'paper')}, measured again"
    style = resources.files(__package__).joinpath("page.css").read_text("utf-8")
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>wdattn: {escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>",
            f"<header>\n<h1>{escape(title)}</h1>\n{_summary(rows)}\n</header>\n<main>",
            _glance(rows),
            *(f"<p>{escape(told)}</p>" for told in agreement(rows)),
            _guide(rows),
            *(_paper(paper, rows, figures) for paper in papers),
            _settings(rows),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _summary(rows: Sequence[Row]) -> str:
    """How many claims got which verdict, a column a run."""
    runs: dict[str, dict[str, int]] = {}
    for row, name in zip(rows, words.run_names(rows), strict=True):
        runs.setdefault(name, dict.fromkeys(words.SIGNS, 0))[row.verdict] += 1
    lines = []
    for name in words.SIGNS:
        counts = [run[name] for run in runs.values()]
        cells = "".join(f'<td class="number{"" if n else " zero"}">{n}</td>' for n in counts)
        lines.append(f'<tr><th scope="row">{verdict(name)}</th>{cells}</tr>')
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in runs)
    return table(f'<th scope="col">Claims</th>{head}', lines)


def _guide(rows: Sequence[Row]) -> str:
    used = [criterion for criterion in GUIDE if criterion in criteria(rows)]
    meanings = {
        name: " Or: ".join(GUIDE[criterion][name] for criterion in used)
        for name in GUIDE["interval"]
    }
    lines = "".join(
        f"<dt>{verdict(name)}</dt><dd>{text}</dd>"
        for name, text in (meanings | {"not judged": NOT_JUDGED}).items()
    )
    sample = " ".join(SAMPLE[criterion] for criterion in used)
    return (
        "<details><summary>How to read this</summary>"
        "<p>A claim is one testable sentence of a paper. Its effect is measured for each seed. "
        f"{sample} What counts was fixed before the runs. "
        "× is a factor: ×2 means twice as large, ×1 no difference.</p>"
        f"<dl>{lines}<dt>Control</dt><dd>the same measurement with the mechanism removed. It must "
        "not come out as reproduced; if it does, the claim's verdict means nothing.</dd></dl>"
        "</details>"
    )


def _glance(rows: Sequence[Row]) -> str:
    """Every claim in a line, its verdict in each run, with links to the details."""
    names = words.run_names(rows)
    columns = list(dict.fromkeys(names))
    claims: dict[str, dict[str, Row]] = {}
    for row, name in zip(rows, names, strict=True):
        claims.setdefault(anchor(row), {})[name] = row
    lines = []
    for name, runs in claims.items():
        row = next(iter(runs.values()))
        cells = "".join(f"<td>{_short(runs.get(column))}</td>" for column in columns)
        link = f'<a href="#{name}">{escape(row.claim)}</a>'
        effects = "<br>".join(escape(effect_name(part)) for part in row.parts)
        lines.append(
            f'<tr><th scope="row">{link}</th><td>{escape(row.title)}</td>{cells}'
            f'<td class="effects">{effects}</td></tr>'
        )
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    head = f'<th scope="col">Claim</th><th scope="col">Finding</th>{head}'
    head += f'<th scope="col" class="effects">Effect ({escape(columns[0])})</th>' if columns else ""
    return table(head, lines, "glance")


def _short(row: Row | None) -> str:
    if row is None:
        return ""
    alarm = (
        '<br><span class="alarm">! <span class="word">control</span></span>'
        if row.control == "reproduced"
        else ""
    )
    return verdict(row.verdict) + alarm


def _paper(paper: Paper, rows: Sequence[Row], figures: Sequence[PageFigure]) -> str:
    claims: dict[str, list[Row]] = {}
    for row in rows:
        if row.paper == paper.key:
            claims.setdefault(row.claim, []).append(row)
    own = PaperFigures(paper.key, figures, list(claims))
    return "\n".join(
        [
            f'<section>\n<h2>{escape(paper.title)}</h2>\n<p class="soft">'
            f"{escape(paper.citation)} (<code>{escape(paper.key)}</code>)</p>",
            *(claim(of_claim, own) for of_claim in claims.values()),
            _whole(own.of("")),
            "</section>",
        ]
    )


def _whole(figures: str) -> str:
    return f"<article>\n<h3>The paper as a whole</h3>\n{figures}</article>" if figures else ""


def _settings(rows: Sequence[Row]) -> str:
    """Each distinct run once: scale, backend, seeds and what was installed."""
    lines: dict[str, None] = {}
    for row in rows:
        told = "; ".join(
            ", ".join(f"{name} {version}".replace("_", " ") for name, version in made.items())
            for made in row.versions
        )
        cells = row.paper, row.backend, row.scale, words.seeds(row.seeds), told
        lines["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"] = None
    names = ("Paper", "Backend", "Scale", "Seeds", "Versions")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    drifted = "".join(f"<p>{escape(line)}.</p>" for line in drift(rows))
    return f"<section>\n<h2>How it was run</h2>\n{table(head, list(lines))}\n{drifted}</section>"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
