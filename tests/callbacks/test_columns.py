from dataclasses import dataclass

import keras
import numpy as np
import pytest

from wdattn.callbacks.columns import columns


@dataclass(frozen=True)
class Record:
    value: float
    by_group: dict
    largest: np.ndarray


def test_a_number_stands_under_the_diagnostics_name():
    for value in (2.5, np.float32(2.5), np.array(2.5), keras.ops.convert_to_tensor(2.5)):
        assert columns("loss", value) == {"loss": 2.5}
        assert type(columns("loss", value)["loss"]) is float
    assert columns("name", "text") == {"name": "text"}
    assert columns("flag", np.bool_(True)) == {"flag": True}
    assert type(columns("count", np.int64(3))["count"]) is int


def test_records_mappings_and_arrays_stand_behind_it():
    record = Record(1.5, {"a/b": 2.0, "c": {"d": 3}}, np.array([[4.0, 5.0]]))
    found = columns("top", record)
    assert found == {
        "top/value": 1.5,
        "top/by_group/a/b": 2.0,
        "top/by_group/c/d": 3,
        "top/largest/0/0": 4.0,
        "top/largest/0/1": 5.0,
    }
    assert next(iter(found)) == "top/value"
    assert columns("pair", (1, [2, 3])) == {"pair/0": 1, "pair/1/0": 2, "pair/1/1": 3}
    assert columns("none", {}) == {}


@pytest.mark.parametrize("value", [None, object(), Record, np.array(["a"]), {"a": None}, 1j])
def test_what_is_no_number_is_named(value):
    with pytest.raises(ValueError, match="the diagnostic 'odd.*' must give numbers, .* got"):
        columns("odd", value)


def test_too_many_columns():
    assert len(columns("many", np.zeros(1000))) == 1000
    with pytest.raises(ValueError, match="the diagnostic 'many' gives more than 1000 columns"):
        columns("many", np.zeros(1001))
