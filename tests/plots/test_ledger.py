from math import inf, log

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tests.ledger_rows import made_part as part
from tests.ledger_rows import made_row
from wdattn import plots
from wdattn.plots.ledger import MARKERS, _factors
from wdattn.plots.style import VERDICT_COLOURS
from wdattn.plots.words import SIGNS


def row(**changes):
    """Without a control, unless the test says otherwise."""
    return made_row(**{"control": None, "control_parts": ()} | changes)


def words(figure):
    return [text.get_text() for text in figure.texts]


def marks(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


@pytest.mark.parametrize("verdict", SIGNS)
def test_a_verdict_is_told_by_sign_word_colour_and_marker(verdict):
    figure = plots.ledger([row(verdict=verdict, parts=(part(verdict=verdict),))])
    (text,) = [text for text in figure.texts if text.get_text() == f"{SIGNS[verdict]} {verdict}"]
    assert to_hex(text.get_color()) == VERDICT_COLOURS[verdict]
    (mark,) = marks(figure.axes[0], "effect")
    assert mark.get_marker() == MARKERS[verdict]
    assert to_hex(mark.get_color()) == VERDICT_COLOURS[verdict]


def test_one_axis_a_part_and_one_line_a_row():
    slope = part(effect=0.6, interval=(0.5, 0.7), label="Adam", unit="slope")
    parts = (part(label="SGDM"), slope)
    rows = [row(parts=parts), row(parts=parts, backend="torch"), row(claim="C2")]
    figure = plots.ledger(rows, title="All", note="N.")
    assert len(figure.axes) == 3
    assert [len(marks(axes, "effect")) for axes in figure.axes] == [2, 2, 1]
    found = words(figure)
    assert found.count("×4.00 [3.00, 5.00]") == 3 and found.count("0.60 [0.50, 0.70]") == 2
    assert {"C1", "C2", "SGDM", "Adam", "torch", "All"} <= set(found)
    assert found[-1].startswith("N. Bars: 95 %")


def test_the_region_that_counts_is_open_where_there_is_no_end():
    figure = plots.ledger([row(), row(claim="C2", parts=(part(low=-1.0, high=1.0),))])
    for axes, ends in zip(figure.axes, [(log(2), None), (-1.0, 1.0)], strict=True):
        (region,) = [patch for patch in axes.patches if patch.get_gid() == "threshold"]
        right = axes.get_xlim()[1] if ends[1] is None else ends[1]
        np.testing.assert_allclose([region.get_x(), region.get_x() + region.get_width()],
                                   [ends[0], right])  # fmt: skip


def test_limits_hold_effect_interval_threshold_control_and_no_effect():
    control = part(effect=-2.0, interval=(-3.0, -1.0), verdict="contradicted")
    figure = plots.ledger([row(control="contradicted", control_parts=(control,))])
    left, right = figure.axes[0].get_xlim()
    assert left < -3.0 and right > log(5)
    assert len(marks(figure.axes[0], "control")) == 1


def test_the_controls_verdict_stands_at_the_right_and_reproduced_is_an_alarm():
    controls = (None, "contradicted", "reproduced")
    figure = plots.ledger([row(control=control) for control in controls])
    assert {"not run", "contradicted", "! reproduced"} <= set(words(figure))


def test_null_numbers_and_missing_parts():
    nothing = part(effect=None, interval=None, verdict="inconclusive")
    figure = plots.ledger(
        [row(parts=(nothing,)), row(claim="C2", parts=(), verdict="not judged")],
    )
    assert {"no mean over seeds", "not measured"} <= set(words(figure))
    assert not any(marks(axes, "effect") for axes in figure.axes)
    assert [axes.axison for axes in figure.axes] == [True, False]


def test_log_ratios_are_labelled_as_factors_and_slopes_as_they_are():
    figure = plots.ledger([row(), row(claim="C2", parts=(part(unit="slope"),))])
    ratio, slope = ([text.get_text() for text in axes.get_xticklabels()] for axes in figure.axes)
    assert all(text.startswith("×") for text in ratio) and "×1" in ratio
    assert not any(text.startswith("×") for text in slope)


@pytest.mark.parametrize("ends", [(0.9, 1.3), (0.5, 20), (1e-4, 1e6), (0.999, 1.011)])
def test_ticks_are_two_to_seven_round_factors_inside(ends):
    ticks = _factors(*np.log(ends))
    assert 2 <= len(ticks) <= 7
    assert ends[0] < min(ticks) and max(ticks) < ends[1]
    assert all(len(f"{tick:g}".strip("0.")) <= 5 for tick in ticks)


def test_an_empty_ledger_is_refused():
    with pytest.raises(ValueError, match="`rows`"):
        plots.ledger([])


def inches(figure, text):
    """How far from the upper edge that text stands."""
    (found,) = [one for one in figure.texts if one.get_text() == text]
    return figure.get_figheight() * (1 - found.get_position()[1])


def test_the_words_of_a_run_stand_at_the_height_of_its_mark():
    backends = ("jax", "tensorflow", "torch")
    effects = [log(2), log(3), log(4)]
    rows = [row(backend=name, parts=(part(effect=effect, interval=None),))
            for name, effect in zip(backends, effects, strict=True)]  # fmt: skip
    figure = plots.ledger(rows)
    (axes,) = figure.axes
    for name, effect, told in zip(backends, effects, ("×2.00", "×3.00", "×4.00"), strict=True):
        (mark,) = [m for m in marks(axes, "effect") if m.get_xdata()[0] == effect]
        _, y = axes.transData.transform((effect, mark.get_ydata()[0]))
        height = figure.get_figheight() - y / figure.dpi
        for text in (name, told):
            assert inches(figure, text) == pytest.approx(height, abs=0.01)


def test_the_control_is_drawn_at_its_own_effect_with_its_own_interval():
    control = part(effect=0.1, interval=(-0.2, 0.4), verdict="contradicted")
    figure = plots.ledger([row(control="contradicted", control_parts=(control,))])
    (mark,) = marks(figure.axes[0], "control")
    assert list(mark.get_xdata()) == [0.1]
    bars = [list(line.get_xdata()) for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert [-0.2, 0.4] in bars and [log(3), log(5)] in bars


def test_a_bound_on_every_value_has_no_bar_and_the_legend_says_which_value_is_shown():
    bound = part(effect=0.97, interval=None, low=-inf, high=1.0, unit="share", criterion="every")
    figure = plots.ledger([row(parts=(bound,))])
    (mark,) = marks(figure.axes[0], "effect")
    assert list(mark.get_xdata()) == [0.97] and "0.97 at worst" in words(figure)
    assert "Student" not in words(figure)[-1] and "farthest out" in words(figure)[-1]
    both = plots.ledger([row(), row(claim="C2", parts=(bound,))])
    assert "Student" in words(both)[-1] and "farthest out" in words(both)[-1]
