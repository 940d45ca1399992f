"""Rows as JSON: what is written comes back equal, and nothing else is taken for a row."""

import copy
import json
from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest

from tests.ledger_rows import made_choice, made_part, made_row
from wdattn.ledger.stored import MOST_BYTES, from_json, plainly, to_json
from wdattn.plots.words import SIGNS
from wdattn.reproduction import Beside


def test_what_is_written_comes_back_equal(row, nulls, bare, every):
    odd = made_choice(value=None, grid=(None, "a", True, 2, 0.5, (1, 2)), arm={"a": (1, 2)})
    rows = [
        *(row(claim=f"C{i}", verdict=verdict) for i, verdict in enumerate(SIGNS)),
        nulls,
        bare,
        row(parts=(every,), choices=(odd,), seeds=(3, 1), set_aside=(1,), skipped=0.5),
    ]
    assert from_json(to_json(rows)) == (rows, [])


def test_it_has_no_nan_and_no_numpy():
    odd = made_part(effect=np.float32(2), interval=(np.float64(1), inf), values=(1.0, nan))
    beside = Beside("b", "slope", tuple(np.array([1.0, -inf])), None, None)
    given = made_row(parts=(odd,), beside=(beside,), set_aside=(np.int64(1),))
    text = to_json([given])
    (plain,) = json.loads(text, parse_constant=pytest.fail)
    assert plain["parts"][0] | {"low": 0} == {
        "label": "", "unit": "log ratio", "values": [1.0, None], "effect": 2.0,
        "interval": [1.0, None], "low": 0, "high": None, "verdict": "reproduced",
        "criterion": "interval", "effects": 1, "reaches": None, "reached": None,
    }  # fmt: skip
    assert plain["beside"][0]["values"] == [1.0, None] and plain["set_aside"] == [1]
    # What a call gives is what the file gives, open ends and lost numbers included.
    assert from_json(text) == ([plainly(given)], [])
    assert plainly(given).parts[0].interval == (1.0, inf)


def test_a_setting_that_json_does_not_know_is_told_in_words():
    choice = made_choice(arm={"start": {"a"}, "n": np.int64(3)})
    assert plainly(made_row(choices=(choice,))).choices[0].arm == {"start": "{'a'}", "n": 3}


def spoilt(change):
    (plain,) = json.loads(to_json([made_row()]))
    plain = copy.deepcopy(plain)
    change(plain)
    return json.dumps([plain])


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda row: row.pop("why"), "a row must have .*; it lacks why"),
        (lambda row: row.update(whim="x"), "a row has no field 'whim'"),
        (lambda row: row.update(backend="/../../../../X"), "`backend` must be one of jax"),
        (lambda row: row.update(backend=["jax"]), "`backend` must be text"),
        (lambda row: row.update(scale="../laptop"), "`scale` must be a name"),
        (lambda row: row.update(scale="<b>"), "`scale` must be a name"),
        (lambda row: row.update(paper="/etc"), "`paper` must be a name"),
        (lambda row: row.update(paper=".."), "`paper` must be a name"),
        (lambda row: row.update(claim="C" * 65), "`claim` must be a name"),
        (lambda row: row.update(seeds=[0.5]), "`seeds` must be an int"),
        (lambda row: row.update(seeds=[True]), "`seeds` must be an int"),
        (lambda row: row.update(seeds=[-1]), "`seeds` must be an int in"),
        (lambda row: row.update(seeds=[1, 1]), "`seeds` must be an int in"),
        (lambda row: row.update(seeds=[2**32]), "`seeds` must be an int in"),
        (lambda row: row.update(seeds=[]), "`seeds` must be an int in"),
        (lambda row: row.update(seeds="012"), "`seeds` must be a list"),
        (lambda row: row.update(verdict="true"), "`verdict` must be one of reproduced"),
        (lambda row: row.update(control="true"), "`control` must be one of reproduced"),
        (lambda row: row.update(why="\x1b[2J"), "`why` must be text without control"),
        (lambda row: row.update(title="‮"), "`title` must be text without control"),
        (lambda row: row.update(why=3), "`why` must be text"),
        (lambda row: row.update(parts={}), "`parts` must be a list"),
        (lambda row: row.update(parts=[3]), "`parts` a part must be an object"),
        (lambda row: row["parts"][0].pop("low"), "`parts` a part must have .* it lacks low"),
        (lambda row: row["parts"][0].update(effect="1"), "`effect` must be a finite number"),
        (lambda row: row["parts"][0].update(effect=10**400), "`effect` must be a finite number"),
        (lambda row: row["parts"][0].update(interval=[1]), "`interval` must have two ends"),
        (lambda row: row["parts"][0].update(verdict="so"), "`verdict` must be one of"),
        (lambda row: row["parts"][0].update(criterion="so"), "`criterion` must be one of"),
        (lambda row: row["choices"][0].update(value={}), "`value` must hold plain values"),
        (lambda row: row.update(versions=["a"]), "`versions` must be an object"),
        (lambda row: row.update(versions=[{"a": 1}]), "`versions` must be text"),
        (lambda row: row.update(skipped="1"), "`skipped` must be a finite number"),
    ],
)  # fmt: skip
def test_what_is_no_row_is_told_and_left_out(change, told):
    rows, (line,) = from_json(spoilt(change))
    assert rows == []
    assert line.startswith("row 0: ") and "\n" not in line and len(line) < 700
    with pytest.raises(ValueError, match=told):
        raise ValueError(line)


def test_an_arm_may_hold_a_reference_that_is_told_in_words(row):
    unknown = replace(row(), choices=(made_choice(value=np.float32(0.5), grid=(np.int64(1),)),))
    (choice,) = plainly(unknown).choices
    assert (choice.value, choice.grid) == (0.5, (1,))


def test_the_bound_on_a_file_leaves_room():
    assert len(to_json([made_row()])) * 1000 < MOST_BYTES
