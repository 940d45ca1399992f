"""One claim in the page: what the paper found, the figures, what each run gave, what deviates."""

import math
from collections.abc import Sequence
from html import escape

from wdattn.ledger.agreement import disagreement
from wdattn.ledger.markup import anchor, fact, folded, verdict
from wdattn.ledger.page_figures import PaperFigures
from wdattn.ledger.strip import strip
from wdattn.ledger.wording import (
    Row,
    comparison,
    control_name,
    effect_name,
    region_name,
    run_name,
)
from wdattn.plots import words


def claim(rows: Sequence[Row], figures: PaperFigures) -> str:
    """The article of one claim.

    Args:
        rows: its ledger rows, one a run.
        figures: those of its paper.
    """
    first = rows[0]
    fullest = max(rows, key=lambda row: len(row["parts"]))  # one without data has no parts
    differ = disagreement(rows)
    before = [
        ("In the paper", [first.get("expects"), first["source"]]),
        ("What counts", [_counts(fullest), first.get("threshold_source")]),
        ("Before you trust it", [row.get("remark") for row in rows]),
    ]
    return "\n".join(
        [
            f'<article id="{anchor(first)}">\n<h3>{escape(first["claim"])}. '
            f"{escape(first['title'])}</h3>\n<dl>",
            *(fact(name, texts) for name, texts in before),
            "</dl>",
            figures.of(first["claim"]),
            figures.links(first["claim"]),
            f'<p class="differ">The runs differ: {escape(differ)}.</p>' if differ else "",
            '<div class="runs">',
            *(_run(row, rows) for row in rows),
            "</div>",
            f"<dl>{fact('Not as in the paper', [row.get('deviations') for row in rows])}</dl>",
            _choices(rows),
            "</article>",
        ]
    )


def _counts(row: Row) -> str:
    labels = [part.get("label") for part in row["parts"]]
    regions = [region_name(part) for part in row["parts"]]
    if len(set(regions)) == 1:
        return f"an effect {regions[0]}" + (", in each part" if len(regions) > 1 else "")
    return "; ".join(f"{label}: {region}" for label, region in zip(labels, regions, strict=True))


def _run(row: Row, rows: Sequence[Row]) -> str:
    """What one run of a claim gave: verdict, effect against what counts, control, reason."""
    kind = row["verdict"].replace(" ", "-")
    controls = row.get("control_parts") or []
    lines = [
        f'<section class="run {kind}">\n<header><h4>{escape(row["backend"])}</h4>'
        f'{verdict(row["verdict"])}</header>\n<p class="soft">{escape(run_name(row))}</p>'
    ]
    for number, part in enumerate(row["parts"]):
        control = controls[number] if number < len(controls) else None
        scale = [one for other in rows for one in _at(other, number)]
        lines.append(_part(part, control, scale, several=len(row["parts"]) > 1))
    lines.append(f"<p>{_control(row['control'], controls)}</p>")
    if row["why"] and _puzzling(row):
        lines.append(f"<p>{escape(row['why'])}</p>")
    if row.get("beside"):
        said = "".join(f"<li>{escape(one)}</li>" for one in row["beside"])
        lines.append(f'<p class="soft">Measured beside it, not judged:</p><ul>{said}</ul>')
    return "\n".join([*lines, _details(row), "</section>"])


def _puzzling(row: Row) -> bool:
    """Whether the intervals alone do not explain the verdict: none, or too few seeds."""
    across = any("reaches across" in comparison(part) for part in row["parts"])
    return not row["parts"] or (row["verdict"] == "inconclusive" and not across)


def _at(row: Row, number: int) -> list[Row]:
    """A row's part of that number and its control, as far as they were measured."""
    return [
        parts[number]
        for parts in (row["parts"], row.get("control_parts") or ())
        if number < len(parts)
    ]


def _part(part: Row, control: Row | None, scale: Sequence[Row], several: bool) -> str:
    label = f"<p><strong>{escape(part.get('label') or '')}</strong></p>" if several else ""
    effect, bracket, interval = effect_name(part).partition(" [")
    return (
        f'{label}<p class="effect">{escape(effect)} <span>{bracket.strip()}{escape(interval)}'
        f"</span></p>\n<div>{strip(part, control, scale)}</div>"
        f"<p>{escape(comparison(part))}</p>"
    )


def _control(outcome: str | None, parts: Sequence[Row]) -> str:
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
    for part in row["parts"]:
        values = [words.effect(value, part.get("unit")) for value in part.get("values") or ()]
        if values:
            label = f"{part.get('label') or ''}: " if len(row["parts"]) > 1 else ""
            lines.append(f"<p>{escape(label)}{escape(', '.join(values))}</p>")
    if lines and row["why"]:
        lines.append(f'<p class="soft">{escape(row["why"])}</p>')
    seconds = row.get("cost_seconds")
    if seconds is not None and math.isfinite(seconds):
        lines.append(f"<p>Took {words.significant(seconds, 2)} s.</p>")
    return folded("Each seed", "".join(lines)) if lines else ""


def _choices(rows: Sequence[Row]) -> str:
    """What a search chose in each run, folded away; said once where the runs agree."""
    runs: dict[str, list[str]] = {}
    names = words.run_names(rows)
    for row, name in zip(rows, names, strict=True):
        for choice in row.get("choices") or ():
            runs.setdefault(choice, []).append(name)
    if not runs:
        return ""
    lines = []
    for choice, chosen in runs.items():
        where = "" if len(chosen) == len(rows) else f" ({', '.join(chosen)})"
        lines.append(f"<li>{escape(choice + where)}</li>")
    return folded(f"Chosen by search ({len(runs)})", f"<ul>{''.join(lines)}</ul>")
