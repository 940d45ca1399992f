import json

import numpy as np
import pytest

from wdattn.spectra import (
    AttentionHeads,
    MergedHeads,
    as_csv,
    as_json,
    gaussian_null,
    head_rows,
    panels,
    rows_of,
)
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
    merged = MergedHeads("c", np.ones((1, 4, 4)), np.ones((1, 4, 4)))
    blocks, null = panels(rows_of([merged]))
    assert np.shape(blocks["P W_V"]["layer 0"]) == (1, 4) and null == {}
    assert panels(rows_of([attention, merged]))[1] == {}


def test_the_null_is_of_the_shapes_that_are_compared(attention):
    # The spectrum is a head's own; the ratio is of a key and all its queries, stacked.
    row = head_rows(attention)[0]
    assert row["null_pseudo_rank"] == gaussian_null(9, 9, 2).pseudo_rank
    assert row["null_nuclear_ratio"] == gaussian_null(9, 2 * 9, 2).nuclear_ratio
    assert gaussian_null(9, 2 * 9, 2).nuclear_ratio != gaussian_null(9, 9, 2).nuclear_ratio
    row = head_rows(attention, biases=True)[-1]  # the value has a bias, the output none
    assert (row["left_rows"], row["right_rows"]) == (10, 9)
    assert row["null_nuclear_ratio"] == gaussian_null(10, 2 * 9, 2).nuclear_ratio


def test_merged_products_have_spectra_and_no_factors(rng):
    products = rng.normal(size=(2, 3, 5, 5))
    rows = head_rows(MergedHeads("merged", *products))
    assert [(row["product"], row["head"]) for row in rows] == [
        (name, head) for name in ("key_query", "value_output") for head in range(3)
    ]
    for row, product in zip(rows, products.reshape(6, 5, 5), strict=True):
        values = np.linalg.svd(product, compute_uv=False)
        np.testing.assert_allclose(row["singular_values"], values, rtol=1e-12)
        assert row["merged"] and row["pseudo_rank_of_rank"] == row["pseudo_rank_of_width"]
        np.testing.assert_allclose(row["stable_rank"], (values**2).sum() / values[0] ** 2)
    assert rows[0].keys() == head_rows(factors(rng))[0].keys()
    nothing = {name for name, value in rows[0].items() if value is None}
    assert nothing == {
        *("nuclear_ratio", "nuclear_gap", "nuclear_gap_absolute", "null_nuclear_ratio"),
        *("null_pseudo_rank", "balancedness", "balancedness_absolute", "row_norm_correlation"),
        *("left_rows", "right_rows"),
    }


def factors(rng):
    return AttentionHeads("plain", *rng.normal(size=(4, 1, 5, 2)))


def test_names_are_one_line_of_csv(rng):
    named = AttentionHeads("a\n\x1b[31m", *rng.normal(size=(4, 1, 5, 2)))
    text = as_csv(rows_of([named]))
    assert text.count("\n") == 2 and r"a\n\x1b[31m" in text and "\x1b" not in text
    assert json.loads(as_json(rows_of([named])))[0]["layer"] == named.name  # JSON escapes


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"key": np.ones((3, 9, 2))}, "`key` and `query` of 'x' must be .*heads a multiple of"),
        ({"query": np.ones((4, 9, 3))}, "`key` and `query` of 'x' must be .*same rank"),
        ({"output": np.ones((4, 9))}, "`value` and `output` of 'x' must be"),
        ({"value": np.ones((2, 0, 2))}, "`value` and `output` of 'x' must be"),
        ({"query_bias": np.ones(8)}, r"`query_bias` of 'x' must have the shape \(4, 2\)"),
        ({"key": np.full((2, 9, 2), np.nan)}, "`key` of 'x' must be finite.*got NaN or infinity"),
        ({"output": np.full((4, 9, 2), -1e200)}, "`output` of 'x' must be .* got larger numbers"),
        ({"value_bias": np.full((2, 2), np.inf)}, "`value_bias` of 'x' must be finite"),
        ({"rotary": np.array([[0, 2]])}, r"`rotary` must be None or \(pairs, 2\) different ints"),
        ({"rotary": np.array([[0, 0]])}, "`rotary` must be"),
        ({"rotary": np.array([[0.0, 1.0]])}, "`rotary` must be"),
        ({"rotary": np.array([0, 1])}, "`rotary` must be"),
    ],
)
def test_matrices_that_do_not_fit(attention, changed, words):
    with pytest.raises(ValueError, match=words):
        AttentionHeads(**(vars(attention) | {"name": "x"} | changed))


@pytest.mark.parametrize(
    ("key_query", "value_output", "words"),
    [
        (np.ones((4, 4)), np.ones((1, 4, 4)), "`key_query` of 'x' must be"),
        (np.ones((1, 4, 4)), np.ones((2, 4, 4)), "`value_output` of 'x' must be"),
        (np.ones((1, 0, 0)), np.ones((1, 4, 4)), "`key_query` of 'x' must be"),
        (np.ones((1, 4, 4)), np.full((1, 4, 4), np.nan), "`value_output` of 'x' must be finite"),
    ],
)
def test_products_that_do_not_fit(key_query, value_output, words):
    with pytest.raises(ValueError, match=words):
        MergedHeads("x", key_query, value_output)


@pytest.mark.parametrize("scale", [1e-200, 1e-100, 1e69])
@pytest.mark.parametrize("part", ["key", "all"])
def test_numbers_of_any_size_are_measured_without_a_warning(attention, scale, part):
    parts = ("query", "key", "value", "output") if part == "all" else (part,)
    scaled = {name: getattr(attention, name) * scale for name in parts}
    before, after = (
        head_rows(AttentionHeads(**(vars(attention) | {"rotary": None} | changed)))
        for changed in ({}, scaled)
    )
    for old, new in zip(before, after, strict=True):
        if new["nuclear_norm"] > 0:  # 1e-400 is none
            np.testing.assert_allclose(new["stable_rank"], old["stable_rank"], rtol=1e-9)
        if scale > 1e-150:  # below, the squares are 0
            for name in ("row_norm_correlation", *["nuclear_ratio"] * (part == "all")):
                np.testing.assert_allclose(new[name], old[name], rtol=1e-6)
    assert "Infinity" not in as_json(rows_of([AttentionHeads(**(vars(attention) | scaled))]))


def test_bad_arguments(attention):
    with pytest.raises(ValueError, match="`biases` must be True or False, got 'no'"):
        head_rows(attention, biases="no")
    with pytest.raises(ValueError, match="`biases` must be True or False, got None"):
        attention.product("key_query", biases=None)
    with pytest.raises(ValueError, match="`attention` must be AttentionHeads or MergedHeads"):
        head_rows(attention.query)
    with pytest.raises(ValueError, match="`first` must be an int >= 0, got 0.5"):
        rows_of([attention], first=0.5)
