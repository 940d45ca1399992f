import json

import numpy as np
import pytest

from wdattn.spectra import AttentionHeads, as_csv, as_json, as_table, head_rows, panels, rows_of
from wdattn.spectra.attention_heads import rotated_halves


@pytest.fixture
def attention(rng):
    """Four query heads, two keys and values, rotary, with biases."""
    shapes = {"query": (4, 9, 2), "key": (2, 9, 2), "value": (2, 9, 2), "output": (4, 9, 2),
              "query_bias": (4, 2), "key_bias": (2, 2), "value_bias": (2, 2)}  # fmt: skip
    factors = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return AttentionHeads("block/attention", rotary=rotated_halves(2), **factors)


def test_a_row_for_each_head_and_product(attention):
    rows = head_rows(attention)
    assert [(row["product"], row["head"], row["group"]) for row in rows] == [
        (name, head, head // 2) for name in ("key_query", "value_output") for head in range(4)
    ]
    assert {row["layer"] for row in rows} == {"block/attention"}
    assert [row["rotary"] for row in rows] == [True] * 4 + [False] * 4


def test_spectra_are_those_of_the_dense_products(attention):
    rows = head_rows(attention)
    for head in range(4):
        w_k, w_q = attention.key[head // 2].T, attention.query[head].T
        p, w_v = attention.output[head], attention.value[head // 2].T
        for row, dense in ((rows[head], w_k.T @ w_q), (rows[4 + head], p @ w_v)):
            values = np.linalg.svd(dense, compute_uv=False)[:2]
            np.testing.assert_allclose(row["singular_values"], values, rtol=1e-12)
            np.testing.assert_allclose(row["nuclear_norm"], values.sum())


def test_rotary_balance_is_of_the_pair_and_of_the_group(attention):
    first, second, *_ = head_rows(attention)
    a = np.square(attention.key[0]).sum()
    b = np.square(attention.query[:2]).sum()
    np.testing.assert_allclose(first["balancedness_absolute"], abs(a - b) / np.sqrt(2))
    assert first["balancedness"] == second["balancedness"]
    assert first["nuclear_ratio"] == 1 - first["nuclear_gap"]
    assert first["row_norm_correlation"] is None  # one pair has no correlation


def test_biases_are_an_input_held_at_one(attention, rng):
    with_biases, without = head_rows(attention, biases=True), head_rows(attention)
    x, y = rng.normal(size=(2, 9))
    query = attention.query[1].T @ x + attention.query_bias[1]
    key = attention.key[0].T @ y + attention.key_bias[0]
    left, right = attention.product("key_query", biases=True)
    score = np.append(y, 1) @ left[0] @ right[1].T @ np.append(x, 1)
    np.testing.assert_allclose(score, key @ query)
    values = np.linalg.svd(left[0] @ right[1].T, compute_uv=False)[:2]
    np.testing.assert_allclose(with_biases[1]["singular_values"], values)
    assert with_biases[1]["singular_values"] != without[1]["singular_values"]
    assert with_biases[1]["left_rows"] == 10 and with_biases[5]["right_rows"] == 9
    assert with_biases[1]["pseudo_rank_of_width"] == with_biases[1]["pseudo_rank"] / 9


def test_an_unknown_product(attention):
    with pytest.raises(ValueError, match="must be one of key_query, value_output, got 'qk'"):
        attention.product("qk")


def test_a_dead_head_has_no_relative_numbers(attention):
    dead = AttentionHeads("dead", *(np.zeros((1, 4, 2)) for _ in range(4)))
    row = json.loads(as_json(rows_of([dead])))[0]
    assert row["nuclear_ratio"] is row["entropy_rank"] is row["balancedness"] is None
    assert row["pseudo_rank"] == 0
    assert as_table(rows_of([dead])).row_count == 2


def test_rows_as_json_and_csv_hold_the_same(attention):
    rows = rows_of([attention, attention], first=3)
    assert json.loads(as_json(rows)) == rows and rows[-1]["index"] == 4
    names, first, *others = as_csv(rows).splitlines()
    assert names.split(",") == list(rows[0]) and len(others) == 15
    cells = dict(zip(names.split(","), first.split(","), strict=True))
    assert float(cells["balancedness"]) == rows[0]["balancedness"]
    assert [float(value) for value in cells["singular_values"].split()] == rows[0][
        "singular_values"
    ]
    assert as_json([]).split() == ["[", "]"] and as_csv([]) == ""


def test_the_caption_says_what_is_special(attention):
    table = as_table(rows_of([attention]))
    assert table.row_count == 8 and "share a key" in table.caption and "Rotary" in table.caption
    plain = AttentionHeads("a", *(np.ones((2, 4, 2)) for _ in range(4)), query_key_norm=True)
    caption = as_table(rows_of([plain])).caption
    assert "share a key" not in caption and "Rotary" not in caption and "normalised" in caption


def test_panels_of_layers_and_their_null(attention):
    blocks, null = panels(rows_of([attention, attention]))
    assert {name: list(layers) for name, layers in blocks.items()} == {
        "W_Kᵀ W_Q": ["layer 0", "layer 1"],
        "P W_V": ["layer 0", "layer 1"],
    }
    assert np.shape(blocks["P W_V"]["layer 1"]) == (4, 2)
    assert null["P W_V"].shape == (2,)
    other = AttentionHeads("b", *(np.ones((2, 4, 2)) for _ in range(4)))
    assert panels(rows_of([attention, other]))[1] == {}
