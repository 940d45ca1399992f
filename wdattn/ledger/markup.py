"""Pieces of HTML that every part of the page is made of."""

from collections.abc import Sequence
from html import escape
from typing import Any

from wdattn.ledger.row import Row
from wdattn.ledger.wording import verdict_name


def table(head: str, lines: Sequence[str], kind: str = "") -> str:
    """A table that scrolls sideways where it does not fit."""
    body = "\n".join(lines)
    return (
        f'<div class="scroll {kind}">\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n'
        "</tbody>\n</table>\n</div>"
    )


def verdict(name: str) -> str:
    """A verdict by sign, word and colour."""
    sign, _, word = verdict_name(name).partition(" ")
    kind = name.replace(" ", "-")
    return f'<span class="verdict {kind}">{sign} <span class="word">{word}</span></span>'


def anchor(row: Row) -> str:
    """The id of a claim's article."""
    return escape(f"{row.paper}-{row.claim}")


def fact(name: str, texts: Sequence[Any]) -> str:
    """A term and what is said of it; the same thing is said once, nothing if there is nothing."""
    said = [escape(text) for text in dict.fromkeys(str(text) for text in texts if text)]
    return f"<dt>{name}</dt><dd>{'<br>'.join(said)}</dd>" if said else ""


def folded(summary: str, inside: str) -> str:
    """Something that is shown on demand."""
    return f"<details><summary>{summary}</summary>{inside}</details>"
