"""The report as one page of HTML that needs nothing but itself."""

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from wdattn.plots import words
from wdattn.reproduction.strip import strip
from wdattn.reproduction.wording import (
    Row,
    comparison,
    control_name,
    effect_name,
    ordered,
    region_name,
    run_name,
    verdict_name,
)

GUIDE = {
    "reproduced": "the whole interval lies where the effect counts.",
    "contradicted": "the whole interval lies where it does not count.",
    "inconclusive": "the interval reaches across the edge, or a number is missing.",
    "not judged": "a precondition failed or there is no data; the reason is given.",
}
# Says to the browser what the page promises: nothing is fetched, nothing runs.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def html(papers: Sequence[Row], rows: Sequence[Row], figures: Sequence[Row]) -> str:
    """The report: verdicts first, then each claim with its figure, effect and control.

    Args:
        papers: dicts with `key`, `title` and `citation`, in the order in which they are shown.
        rows: ledger rows.
        figures: dicts with `key`, `claim` (None: of the paper as a whole), `title`, `caption`,
            `png` (bytes) and `backend` (or None).

    Returns:
        A whole HTML page, figures included: no request, no script.

    Raises:
        ValueError: if a row or a figure belongs to none of the papers.
    """
    keys = [paper["key"] for paper in papers]
    for name, records, field in (("rows", rows, "paper"), ("figures", figures, "key")):
        if strange := sorted({record[field] for record in records} - set(keys)):
            raise ValueError(f"`{name}` has papers {strange}, `papers` has only {keys}")
    rows = sorted(ordered(rows), key=lambda row: keys.index(row["paper"]))
    claims = len({(row["paper"], row["claim"]) for row in rows})
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
            _guide(),
            *(_paper(paper, rows, figures) for paper in papers),
            _settings(rows),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _summary(rows: Sequence[Row]) -> str:
    """How many claims got which verdict, a column a run."""
    runs: dict[str, dict[str, int]] = {}
    for row, name in zip(rows, words.run_names(rows), strict=True):
        runs.setdefault(name, dict.fromkeys(words.SIGNS, 0))[row["verdict"]] += 1
    lines = []
    for verdict in words.SIGNS:
        counts = [run[verdict] for run in runs.values()]
        cells = "".join(f'<td class="number{"" if n else " zero"}">{n}</td>' for n in counts)
        lines.append(f'<tr><th scope="row">{_verdict(verdict)}</th>{cells}</tr>')
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in runs)
    return _table(f'<th scope="col">Claims</th>{head}', lines)


def _guide() -> str:
    lines = "".join(f"<dt>{_verdict(name)}</dt><dd>{text}</dd>" for name, text in GUIDE.items())
    return (
        "<details open><summary>How to read this</summary>"
        "<p>A claim is one testable sentence of a paper. Its effect is measured for each seed; "
        "the interval is the 95 % Student t interval over seeds. What counts was fixed before the "
        "runs. × is a factor: ×2 means twice as large, ×1 no difference.</p>"
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
        claims.setdefault(_anchor(row), {})[name] = row
    lines = []
    for anchor, runs in claims.items():
        row = next(iter(runs.values()))
        cells = "".join(f"<td>{_short(runs.get(name))}</td>" for name in columns)
        link = f'<a href="#{anchor}">{escape(row["claim"])}</a>'
        lines.append(f'<tr><th scope="row">{link}</th><td>{escape(row["title"])}</td>{cells}</tr>')
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    head = f'<th scope="col">Claim</th><th scope="col">Finding</th>{head}'
    return _table(head, lines, "glance")


def _short(row: Row | None) -> str:
    if row is None:
        return ""
    alarm = '<br><span class="alarm">! control</span>' if row["control"] == "reproduced" else ""
    return _verdict(row["verdict"]) + alarm


def _paper(paper: Row, rows: Sequence[Row], figures: Sequence[Row]) -> str:
    claims: dict[str, list[Row]] = {}
    for row in rows:
        if row["paper"] == paper["key"]:
            claims.setdefault(row["claim"], []).append(row)
    own = [figure for figure in figures if figure["key"] == paper["key"]]
    shown: dict[str | None, list[Row]] = {}
    for figure in own:
        # A figure of a claim that was not judged here still belongs to the paper.
        claim = figure["claim"] if figure["claim"] in claims else None
        shown.setdefault(claim, []).append(figure)
    return "\n".join(
        [
            f'<section>\n<h2>{escape(paper["title"])}</h2>\n<p class="soft">'
            f"{escape(paper['citation'])} (<code>{escape(paper['key'])}</code>)</p>",
            _figures(shown.get(None, [])),
            *(_claim(of_claim, shown.get(name, [])) for name, of_claim in claims.items()),
            "</section>",
        ]
    )


def _claim(rows: Sequence[Row], figures: Sequence[Row]) -> str:
    first = rows[0]
    fullest = max(rows, key=lambda row: len(row["parts"]))  # one without data has no parts
    facts = [
        ("In the paper", [first.get("expects"), first["source"]]),
        ("What counts", [_counts(fullest), first.get("threshold_source")]),
        ("Not as in the paper", [row.get("deviations") for row in rows]),
        ("Chosen by search", [one for row in rows for one in row.get("choices") or ()]),
    ]
    return "\n".join(
        [
            f'<article id="{_anchor(first)}">\n<h3>{escape(first["claim"])}. '
            f"{escape(first['title'])}</h3>\n<dl>",
            *(_fact(name, texts) for name, texts in facts),
            '</dl>\n<div class="runs">',
            *(_run(row) for row in rows),
            "</div>",
            _figures(figures),
            "</article>",
        ]
    )


def _fact(name: str, texts: Sequence[Any]) -> str:
    """A term and what is said of it; the same thing is said once."""
    said = [escape(text) for text in dict.fromkeys(str(text) for text in texts if text)]
    return f"<dt>{name}</dt><dd>{'<br>'.join(said)}</dd>" if said else ""


def _counts(row: Row) -> str:
    labels = [part.get("label") for part in row["parts"]]
    regions = [region_name(part) for part in row["parts"]]
    if len(set(regions)) == 1:
        return f"an effect {regions[0]}" + (", in each part" if len(regions) > 1 else "")
    return "; ".join(f"{label}: {region}" for label, region in zip(labels, regions, strict=True))


def _run(row: Row) -> str:
    """What one run of a claim gave: verdict, effect against what counts, control, reason."""
    kind = row["verdict"].replace(" ", "-")
    controls = row.get("control_parts") or []
    lines = [
        f'<section class="run {kind}">\n<header><h4>{escape(row["backend"])}</h4>'
        f'{_verdict(row["verdict"])}</header>\n<p class="soft">{escape(run_name(row))}</p>'
    ]
    for number, part in enumerate(row["parts"]):
        control = controls[number] if number < len(controls) else None
        lines.append(_part(part, control, several=len(row["parts"]) > 1))
    lines += [f"<p>{_control(row['control'], controls)}</p>"]
    if row["why"]:
        lines.append(f'<p class="soft">{escape(row["why"])}</p>')
    return "\n".join([*lines, _details(row), "</section>"])


def _part(part: Row, control: Row | None, several: bool) -> str:
    label = f"<p><strong>{escape(part.get('label') or '')}</strong></p>" if several else ""
    effect, bracket, interval = effect_name(part).partition(" [")
    return (
        f'{label}<p class="effect">{escape(effect)} <span>{bracket.strip()}{escape(interval)}'
        f"</span></p>\n<div>{strip(part, control)}</div>"
        f"<p>{escape(comparison(part))}</p>"
    )


def _control(verdict: str | None, parts: Sequence[Row]) -> str:
    measured = "; ".join(effect_name(part) for part in parts)
    measured = f" ({escape(measured)})" if measured else ""
    if verdict == "reproduced":
        return (
            f'<span class="alarm">! With the mechanism removed: reproduced too{measured}. '
            "The verdict above means nothing.</span>"
        )
    removed = "With the mechanism removed"
    if verdict in ("contradicted", "inconclusive"):
        return f"{removed} it is not reproduced, as it should be: {verdict}{measured}."
    return f"{removed}: {control_name(verdict)}."


def _details(row: Row) -> str:
    """The numbers behind a mean, folded away."""
    lines = []
    for part in row["parts"]:
        values = [words.effect(value, part.get("unit")) for value in part.get("values") or ()]
        if values:
            label = f"{part.get('label') or ''}: " if len(row["parts"]) > 1 else ""
            lines.append(f"<p>{escape(label)}{escape(', '.join(values))}</p>")
        if part["effect"] is not None:
            lines.append(f"<p>{escape(effect_name(part, logarithm=True))}</p>")
    seconds = row.get("cost_seconds")
    if seconds is not None and math.isfinite(seconds):
        lines.append(f"<p>Took {words.significant(seconds, 2)} s.</p>")
    return f"<details><summary>Each seed</summary>{''.join(lines)}</details>" if lines else ""


def _figures(figures: Sequence[Row]) -> str:
    """Figures of one title together: the first open, those of other backends folded away."""
    titles: dict[str, list[Row]] = {}
    for figure in figures:
        titles.setdefault(figure["title"], []).append(figure)
    lines = []
    for first, *others in titles.values():
        lines.append(_figure(first))
        if others:
            names = ", ".join(str(figure["backend"]) for figure in others)
            pictures = "".join(_figure(figure) for figure in others)
            summary = f"<summary>The same figure: {escape(names)}</summary>"
            lines.append(f"<details>{summary}{pictures}</details>")
    return "\n".join(lines)


def _figure(figure: Row) -> str:
    where = f" ({figure['backend']})" if figure["backend"] else ""
    name, caption = f"{figure['title']}{where}", figure["caption"]
    source = base64.b64encode(figure["png"]).decode("ascii")
    return (
        f'<figure><img src="data:image/png;base64,{source}" alt="{escape(f"{name}. {caption}")}">'
        f"<figcaption><strong>{escape(name)}.</strong> {escape(caption)}</figcaption></figure>"
    )


def _settings(rows: Sequence[Row]) -> str:
    """Each distinct run once: scale, backend, seeds and what was installed."""
    lines: dict[str, None] = {}
    for row in rows:
        versions: Mapping[str, Any] = row.get("versions") or {}
        told = ", ".join(f"{name} {number}".replace("_", " ") for name, number in versions.items())
        cells = row["paper"], row["backend"], row["scale"], words.seeds(row["seeds"]), told
        lines["<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"] = None
    names = ("Paper", "Backend", "Scale", "Seeds", "Versions")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return f"<section>\n<h2>How it was run</h2>\n{_table(head, list(lines))}\n</section>"


def _table(head: str, lines: Sequence[str], kind: str = "") -> str:
    body = "\n".join(lines)
    return (
        f'<div class="scroll {kind}">\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n'
        "</tbody>\n</table>\n</div>"
    )


def _verdict(verdict: str) -> str:
    sign, _, word = verdict_name(verdict).partition(" ")
    kind = verdict.replace(" ", "-")
    return f'<span class="verdict {kind}">{sign} <span class="word">{word}</span></span>'


def _anchor(row: Row) -> str:
    return escape(f"{row['paper']}-{row['claim']}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
