import io

import numpy as np
import pytest
from rich.console import Console

from wdattn.spectra import AttentionHeads, MergedHeads, SpectraTable, gaussian_null, rows_of


def printed(rows, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(SpectraTable(rows))
    return console.file.getvalue().splitlines()


@pytest.fixture
def layers(rng):
    """Twelve heads, one layer in another; and merged products."""
    name = "transformer_block_11/self_attention/multi_head_attention"
    factors = AttentionHeads(name, *rng.normal(size=(4, 12, 40, 8)) * 1e-3)
    other = AttentionHeads("b", *(-1) ** np.arange(40 * 8 * 4).reshape(4, 1, 40, 8))
    return [factors, other, MergedHeads("attention_0", *rng.normal(size=(2, 1, 6, 6)))]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_is_cut_or_wrapped(layers, width):
    rows = rows_of(layers)
    lines = printed(rows, width)
    assert max(map(len, lines)) <= width and not any("…" in line for line in lines)
    names, *others = lines
    assert names.split() == "head k k/d entr. stable largest ratio null bal. rows".split()
    count = len(rows) + len(layers)
    headings = [line for line in others[:count] if not line.startswith(("KQ", "VO"))]
    assert headings == [f"{index}: {layer.name}" for index, layer in enumerate(layers)]
    numbers = [line for line in others[:count] if line.startswith(("KQ", "VO"))]
    assert {len(line) for line in numbers} == {len(names)}  # one under the other
    for line, row in zip(numbers, rows, strict=True):
        product, head, k, of_rank, *_ = line.split()
        assert (product, int(head)) == ({"key_query": "KQ"}.get(row["product"], "VO"), row["head"])
        assert int(k) == row["pseudo_rank"] and float(of_rank) == round(int(k) / len(
            row["singular_values"]), 2)  # fmt: skip
        assert line.endswith(" no factors") == row["merged"]
    assert " ".join(others[count:]).startswith(" KQ, VO: W_Kᵀ W_Q and P W_V")


def test_a_narrow_terminal_cuts_nothing_either(layers):
    wide, narrow = (" ".join(printed(rows_of(layers[1:]), width)).split() for width in (60, 30))
    assert narrow == wide


def test_a_long_name_goes_on_in_the_next_line(rng):
    name = "x" * 100
    lines = printed(rows_of([AttentionHeads(name, *rng.normal(size=(4, 1, 5, 2)))]), 60)
    assert "".join(lines[1:4]) == f"0: {name}"


def test_a_name_cannot_command_the_terminal(rng):
    name = "a\x1b[2J\x07[bold]b"
    text = "\n".join(printed(rows_of([AttentionHeads(name, *rng.normal(size=(4, 1, 5, 2)))]), 80))
    assert r"0: a\x1b[2J\x07[bold]b" in text and "\x1b" not in text


def test_what_is_not_defined_is_a_dash():
    dead = AttentionHeads("dead", *np.zeros((4, 1, 4, 2)))
    null = f"{gaussian_null(4, 4, 2).nuclear_ratio:.3f}"
    cells = printed(rows_of([dead]), 80)[2].split()
    assert cells == ["KQ", "0", "0", "0.00", "–", "–", "0", "–", null, "–", "–"]


def test_the_caption_says_what_is_special(rng):
    def caption(*layers):
        return SpectraTable(rows_of(layers)).caption

    grouped = AttentionHeads(
        *("a", *(rng.normal(size=(heads, 5, 2)) for heads in (4, 2, 2, 4))),
        rotary=np.array([[0, 1]]),
    )
    assert "share a key" in caption(grouped) and "Rotary" in caption(grouped)
    plain = AttentionHeads("b", *rng.normal(size=(4, 2, 5, 2)), query_key_norm=True)
    assert "normalised" in caption(plain) and "Gaussian" in caption(plain)
    for word in ("share a key", "Rotary", "no factors"):
        assert word not in caption(plain)
    merged = MergedHeads("c", *rng.normal(size=(2, 1, 4, 4)))
    assert "no factors" in caption(merged) and "Gaussian" not in caption(merged)
    assert "no factors" in caption(merged, plain) and "Gaussian" in caption(merged, plain)
