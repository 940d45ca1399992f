"""Cells keep arrays by run, column and iterate, and come back from a checkpoint to the bit."""

import numpy as np
import pytest

from wdattn.reproduction.run.cells import Cells


def test_cells_come_out_in_the_order_of_iterates():
    cells = Cells()
    for step in (10, 2, 5):
        cells.add(0, "loss", step, step / 10)
    cells.add(1, "loss", 3, 7)
    steps, values = cells.columns(0)["loss"]
    np.testing.assert_array_equal(steps, [2, 5, 10])
    np.testing.assert_array_equal(values, [0.2, 0.5, 1.0])
    assert steps.dtype == "int64" and values.dtype == "float64"
    assert set(cells.columns(1)) == {"loss"}
    assert cells.columns(2) == {}


def test_a_cell_that_is_not_a_number_takes_the_shape_of_the_others():
    cells = Cells()
    cells.add(0, "noise", 0, np.ones((2, 3)))
    cells.add(0, "noise", 5, np.nan)
    cells.add(1, "noise", 0, np.nan)  # this run diverged before its first look
    np.testing.assert_array_equal(cells.columns(0)["noise"][1][1], np.full((2, 3), np.nan))
    assert cells.columns(1)["noise"][1].shape == (1, 2, 3)
    cells.add(0, "other", 0, np.nan)
    assert cells.columns(0)["other"][1].shape == (1,)


def test_shapes_that_do_not_fit_raise():
    cells = Cells()
    cells.add(0, "noise", 0, np.ones((2, 3)))
    cells.add(0, "noise", 1, np.ones(2))
    with pytest.raises(ValueError, match="broadcast"):
        cells.columns(0)


def test_state_restores_to_the_bit(rng):
    cells = Cells()
    for run in range(12):
        for step in (0, 7):
            cells.add(run, "loss", step, rng.normal())
            cells.add(run, "noise", step, rng.normal(size=(2, 3)))
    cells.add(1, "noise", 9, np.nan)
    again = Cells()
    again.restore({**cells.state(), "parameters": np.zeros(3), "slots/0": np.zeros(3)})
    for run in range(12):
        old, new = cells.columns(run), again.columns(run)
        assert set(old) == set(new)
        for name in old:
            for before, after in zip(old[name], new[name], strict=True):
                assert before.tobytes() == after.tobytes() and before.dtype == after.dtype


def test_restored_cells_go_on():
    cells, again = Cells(), Cells()
    cells.add(0, "loss", 0, 1.0)
    again.restore(cells.state())
    again.add(0, "loss", 1, 2.0)
    np.testing.assert_array_equal(again.columns(0)["loss"][1], [1, 2])


def test_whole_columns_are_merged():
    cells = Cells()
    cells.extend(0, {"loss": (np.array([3, 4]), np.array([30.0, 40.0]))})
    cells.extend(0, {"loss": (np.array([1, 4]), np.array([10.0, 41.0]))})
    np.testing.assert_array_equal(cells.columns(0)["loss"][0], [1, 3, 4])
    np.testing.assert_array_equal(cells.columns(0)["loss"][1], [10, 30, 41])
