"""The ledger as Markdown."""

import re

from wdattn.ledger.markdown import markdown

NASTY = """<script>alert("x")</script> & 'so on' | *bold* [link](x)"""


def test_it_has_a_row_a_claim_and_a_column_a_run(row):
    text = markdown([row(), row(backend="torch"), row(claim="C2")])
    lines = text.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    table = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
    (head, _, first, second) = [[cell.strip() for cell in line] for line in table]
    cell = "✓ reproduced<br>×4.00 \\[3.00, 5.00\\]<br>control: contradicted"
    assert head == ["Claim", "Finding", "jax", "torch"]
    assert first == ["C1", "One thing grows with another.<br>counts above ×2", cell, cell]
    assert second == ["C2", first[1], cell, ""]
    assert "laptop scale, seeds 0–2." in lines


def test_it_names_the_paper_where_there_are_several(row):
    text = markdown([row(), row(paper="other2024")])
    assert "| toy2024 C1 |" in text and "| other2024 C1 |" in text


def test_it_says_what_to_know_of_a_claim(row, nulls):
    text = markdown([row(), row(backend="torch"), nulls])
    assert text.count("- **C1**: Only early in training.") == 1
    assert "- **C1**: beside it, not judged (torch): widths: 1.20 \\[1.10, 1.30\\]" in text
    assert "- **C2**: inconclusive (jax): The factor is 4 over 3 seeds." in text
    assert "- **C1**: reproduced" not in text  # its number stands in the table


def test_it_says_whether_the_backends_agree(row):
    agree = "Verdicts agree on all backends (jax, torch)."
    differ = ("C1 (laptop scale): the verdict depends on the backend: reproduced on jax "
              "(×4.00 [3.00, 5.00]), inconclusive on torch (×4.00 [3.00, 5.00]).")  # fmt: skip
    for verdict, told in (("reproduced", agree), ("inconclusive", differ)):
        rows = [row(), row(backend="torch", verdict=verdict)]
        assert told in markdown(rows).replace("\\", "")


def test_it_is_escaped(row):
    text = markdown([row(title=NASTY, why=NASTY)])
    assert "<script" not in text
    assert r"\*bold\* \[link\](x)" in text and r"\|" in text


def test_an_empty_ledger_is_an_empty_table():
    assert markdown([]).count("\n") == 2
