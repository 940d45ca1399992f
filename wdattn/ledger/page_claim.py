"""One claim in the page: what the paper found, the figures, what each run gave, what deviates."""

from collections.abc import Sequence
from html import escape

from wdattn.ledger.agreement import disagreement
from wdattn.ledger.markup import anchor, fact, folded, verdict
from wdattn.ledger.page_figures import PaperFigures
from wdattn.ledger.row import Row
from wdattn.ledger.strip import strip
from wdattn.ledger.wording import (
    beside_names,
    choice_name,
    comparison,
    control_name,
    region_name,
    relation,
    run_name,
)
from wdattn.plots import words
from wdattn.plots.words import effect_lines, effect_name
from wdattn.reproduction.judge.judgement import Part


def claim(rows: Sequence[Row], figures: PaperFigures) -> str:
    """The article of one claim.

    Args:
        rows: its ledger rows, one a run.
        figures: those of its paper.
    """
    first = rows[0]
    fullest = max(rows, key=lambda row: len(row.parts))  # one without data has no parts
    differ = disagreement(rows)
    before = [
        ("In the paper", [first.expects, first.source]),
        ("What counts", [_counts(fullest), first.threshold_source]),
        ("Before you trust it", [row.remark for row in rows]),
    ]
    return "\n".join(
        [
            f'<article id="{anchor(first)}">\n<h3>{escape(first.claim)}. '
            f"{escape(first.title)}</h3>\n<dl>",
            *(fact(name, texts) for name, texts in before),
            "</dl>",
            figures.of(first.claim),
            figures.links(first.claim),
            f'<p class="differ">The runs differ: {escape(differ)}.</p>' if differ else "",
            '<div class="runs">',
            *(_run(row, rows) for row in rows),
            "</div>",
            f"<dl>{fact('Not as in the paper', [row.deviations for row in rows])}</dl>",
            _choices(rows),
            "</article>",
        ]
    )


def _counts(row: Row) -> str:
    labels = [part.label for part in row.parts]
    regions = [region_name(part) for part in row.parts]
    if len(set(regions)) == 1:
        return f"an effect {regions[0]}" + (", in each part" if len(regions) > 1 else "")
    return "; ".join(f"{label}: {region}" for label, region in zip(labels, regions, strict=True))


def _run(row: Row, rows: Sequence[Row]) -> str:
    """What one run of a claim gave: verdict, effect against what counts, control, reason."""
    kind = row.verdict.replace(" ", "-")
    lines = [
        f'<section class="run {kind}">\n<header><h4>{escape(row.backend)}</h4>'
        f'{verdict(row.verdict)}</header>\n<p class="soft">{escape(run_name(row))}</p>'
    ]
    for number, part in enumerate(row.parts):
        control = row.control_parts[number] if number < len(row.control_parts) else None
        scale = [one for other in rows for one in _at(other, number)]
        lines.append(_part(part, control, scale, several=len(row.parts) > 1))
    lines.append(f"<p>{_control(row.control, row.control_parts)}</p>")
    if row.why and _puzzling(row):
        lines.append(f"<p>{escape(row.why)}</p>")
    if beside := beside_names(row):
        said = "".join(f"<li>{escape(one)}</li>" for one in beside)
        lines.append(f'<p class="soft">Measured beside it, not judged:</p><ul>{said}</ul>')
    return "\n".join([*lines, _details(row), "</section>"])


def _puzzling(row: Row) -> bool:
    """Whether the intervals alone do not explain the verdict: none, or too few seeds."""
    across = any(relation(part) == "across" for part in row.parts)
    return not row.parts or (row.verdict == "inconclusive" and not across)


def _at(row: Row, number: int) -> list[Part]:
    """A row's part of that number and its control, as far as they were measured."""
    return [parts[number] for parts in (row.parts, row.control_parts) if number < len(parts)]


def _part(part: Part, control: Part | None, scale: Sequence[Part], several: bool) -> str:
    label = f"<p><strong>{escape(part.label)}</strong></p>" if several else ""
    effect, *rest = effect_lines(part)
    return (
        f'{label}<p class="effect">{escape(effect)} <span>{escape(" ".join(rest))}</span></p>'
        f"\n<div>{strip(part, control, scale)}</div>"
        f"<p>{escape(comparison(part))}</p>"
    )


def _control(outcome: str | None, parts: Sequence[Part]) -> str:
    measured = "; ".join(effect_name(part) for part in parts)
    measured = f" ({escape(measured)})" if measured else ""
    if outcome == "reproduced":
        return (
            f'<span class="alarm">! With the mechanism removed: reproduced too{measured}. '
            "The verdict above means nothing.</span>"
        )
    removed = "With the mechanism removed"
    if outcome in ("contradicted", "inconclusive"):
        return f"{removed} it is not reproduced, as it should be: {outcome}{measured}."
    return f"{removed}: {control_name(outcome)}."


def _details(row: Row) -> str:
    """The numbers behind a mean and the sentence of the verdict, folded away."""
    lines = []
    for part in row.parts:
        values = [words.effect(value, part.unit) for value in part.values]
        if values:
            label = f"{part.label}: " if len(row.parts) > 1 else ""
            lines.append(f"<p>{escape(label)}{escape(', '.join(values))}</p>")
    if lines and row.why:
        lines.append(f'<p class="soft">{escape(row.why)}</p>')
    return folded("Each seed", "".join(lines)) if lines else ""


def _choices(rows: Sequence[Row]) -> str:
    """What a search chose in each run, folded away; said once where the runs agree."""
    runs: dict[str, list[str]] = {}
    names = words.run_names(rows)
    for row, name in zip(rows, names, strict=True):
        for choice in row.choices:
            runs.setdefault(choice_name(choice), []).append(name)
    if not runs:
        return ""
    lines = []
    for told, chosen in runs.items():
        where = "" if len(chosen) == len(rows) else f" ({', '.join(chosen)})"
        lines.append(f"<li>{escape(told + where)}</li>")
    return folded(f"Chosen by search ({len(runs)})", f"<ul>{''.join(lines)}</ul>")
