"""The ledger in a terminal: complete, and whole at 60 and 80 columns."""

import io

import pytest
from rich.console import Console

from wdattn.ledger import Ledger
from wdattn.ledger.terminal import LedgerTable
from wdattn.plots.words import SIGNS

BACKENDS = ("jax", "tensorflow", "torch")


def printed(rows, width=120, encoding="utf-8"):
    out = io.TextIOWrapper(io.BytesIO(), encoding, errors="replace")
    Console(width=width, file=out).print(LedgerTable(rows))
    out.flush()
    return out.buffer.getvalue().decode(encoding)


def test_it_has_every_verdict_with_its_sign_its_effect_and_its_control(row):
    rows = [row(claim=f"C{i}", verdict=verdict) for i, verdict in enumerate(SIGNS)]
    text = printed(rows)
    for verdict, sign in SIGNS.items():
        assert f"{sign} {verdict}" in text
    assert "×4.00 [3.00, 5.00]" in text and "counts above ×2" in text
    assert text.count("contradicted") == 1 + len(rows)
    assert "laptop scale, jax, seeds 0–2" in text and "Effect [95 %]" in text


def test_it_tells_runs_apart_and_says_a_title_once(row):
    text = printed([row(), row(backend="torch"), row(backend="torch", seeds=(7,))])
    assert "torch," in text and "seeds 7" in text and "laptop scale" in text
    assert text.count("One thing grows") == 1


def test_it_shows_alarm_set_aside_parts_and_nulls(part, row, nulls, bare):
    two = row(parts=(part(label="up"), part(label="down")), set_aside=(1,), control="reproduced")
    text = printed([two, nulls, bare])
    for words in (
        *("! reproduced", "1 of 3 seeds set aside", "up:", "down:", "not measured"),
        *("no mean over seeds", "counts below ×0.3679", "not run"),
    ):
        assert words in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_is_broken_or_cut(width, row, part, nulls):
    long = "the median over all of the tokens, and some more words"
    both = {"parts": (part(label=long), part(label="down", effect=-3.2, interval=(-4e-5, 9e9)))}
    rows = [row(backend=name, **both) for name in BACKENDS] + [row(seeds=(7, 9), **both), nulls]
    text = printed(rows, width)
    assert max(map(len, text.split("\n"))) <= width and "…" not in text
    assert text.count("✓ reproduced") == text.count("contradicted") == 4
    for name in (*BACKENDS, "×4.00", "[3.00, 5.00]", "? inconclusive", "not run"):
        assert name in text
    assert "the median over all of" in text and "One thing grows with another." in text


def test_a_line_is_broken_only_where_it_must(row):
    rows = [row(backend=name) for name in BACKENDS]
    wide, narrow, least = (printed(rows, width) for width in (60, 59, 50))
    for line in wide.split("\n")[4:7]:
        assert "×4.00 [3.00, 5.00]  ✓ reproduced  contradicted" in line
    first, second = narrow.split("\n")[5:7]
    assert first.split() == ["jax", "×4.00", "✓", "reproduced", "contradicted"]
    assert second.split() == ["[3.00,", "5.00]"] and second.index("[") == first.index("×")
    first, second = least.split("\n")[5:7]
    assert first.split() == ["jax", "×4.00", "✓", "reproduced"]
    assert second.split() == ["[3.00,", "5.00]", "contradicted"]
    line = next(line for line in printed([row()], 60).split("\n") if "×4.00" in line)
    assert line.startswith("  ×4.00 [3.00, 5.00]  ✓ reproduced  contradicted")


def test_a_claim_is_a_heading_under_which_its_runs_stand(row, part):
    two = row(parts=(part(label="up"), part(label="down")))
    lines = printed([two, row(backend="torch", verdict="inconclusive")]).splitlines()
    line = next(line for line in lines if " torch " in line)
    assert "×4.00 [3.00, 5.00]" in line and "? inconclusive" in line
    assert sum(line.startswith("C1  One thing grows with another.") for line in lines) == 1


def test_bounds_on_every_value_have_no_interval(every, row):
    text = printed([row(parts=(every,))])
    assert "0.97 at worst" in text and "counts from 0 to 1" in text and "95 %" not in text


def test_papers_are_named_where_there_are_several(row):
    text = printed([row(), row(paper="other2024")])
    assert "toy2024 C1  One" in text and "other2024 C1  One" in text


def test_the_rule_is_one_that_the_terminal_knows(row):
    assert "─" * 60 in printed([row()], 60)
    assert "-" * 60 in printed([row()], 60, "ascii")


def test_an_empty_ledger_has_a_head_alone():
    assert printed([]).split() == ["Effect", "Verdict", "Control", "─" * 120]
    assert repr(Ledger()).split()[:3] == ["Effect", "Verdict", "Control"]
