import io
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from wdattn import plots
from wdattn.plots.style import BLACK, RED, WIDTH, apart, footer_lines, looks


def curve():
    return plots.curves([0, 1], {"SGDM": np.ones((2, 2))}, title="One", note="Two.")


def test_optimizers_have_the_papers_colours_and_a_repeated_colour_another_dash():
    found = looks(["SGDM, L = 2", "Adam, L = 2", "SGDM, L = 8", "softmax", "linear"])
    assert found["SGDM, L = 2"][0] == found["SGDM, L = 8"][0] == BLACK
    assert found["Adam, L = 2"][0] == RED
    assert found["SGDM, L = 2"][1] != found["SGDM, L = 8"][1]
    assert found["softmax"][0] != found["linear"][0]


def test_colours_are_overridden_by_label():
    assert looks(["SGDM", "Adam"], {"Adam": "blue"})["Adam"][0] == "blue"


@pytest.mark.parametrize("heights", [[0.5, 0.5, 0.5], [0.99, 1.0, 0.98], [0.0, 0.01, 0.9], [0.3]])
def test_labels_are_moved_apart_in_their_order_and_stay_inside(heights):
    moved = apart(heights, 0.1)
    assert np.diff(np.sort(moved)).min(initial=1) >= 0.1 - 1e-12
    assert moved.min() >= 0 and moved.max() <= 1
    assert (np.argsort(moved, kind="stable") == np.argsort(heights, kind="stable")).all()


def test_labels_far_apart_stay_where_they_are():
    np.testing.assert_array_equal(apart([0.9, 0.1, 0.5], 0.1), [0.9, 0.1, 0.5])


def test_a_caption_says_scale_backend_and_seeds():
    text = plots.caption("smoke", ("jax", "torch"), [0, 1, 2, 7], "More.")
    assert text == "Measured by wdattn: smoke scale, jax + torch, seeds 0–2, 7. More."


def test_a_caption_is_wrapped_to_the_figure_and_empty_notes_leave_no_trace():
    lines = footer_lines(["word " * 60, "", None, "end."], WIDTH)
    assert len(lines) > 1 and max(map(len, lines)) <= WIDTH * 16
    assert " ".join(lines).endswith("word end.")


def test_titles_are_left_aligned_and_the_note_is_in_the_figure():
    figure = curve()
    title = figure.get_suptitle()
    assert title == "One" and figure._suptitle.get_ha() == "left"
    assert "Two." in figure.get_supxlabel()


def test_a_figure_is_the_same_whatever_the_users_settings():
    plain = plots.png(curve())
    with matplotlib.rc_context({"font.size": 23, "axes.facecolor": "pink", "savefig.dpi": 10}):
        before = dict(matplotlib.rcParams)
        styled = plots.png(curve())
        assert dict(matplotlib.rcParams) == before
    assert plain == styled
    assert plain[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_png_is_small_and_its_paper_white(rng):
    figure = plots.curves([0, 1, 2], {"Adam": rng.random((3, 3))})
    picture = Image.open(io.BytesIO(plots.png(figure, dpi=100)))
    assert picture.mode == "P" and picture.size == (720, 420)
    counted = picture.convert("RGB").getcolors(256)
    assert max(counted)[1] == (255, 255, 255)
    red = [colour for _, colour in counted if colour[0] > 180 and colour[1] < 90]
    assert red  # Adam's


def test_a_notebook_shows_a_figure_sharp_and_at_its_size():
    data, size = curve()._repr_png_()
    assert size == {"width": 720, "height": 420}
    assert Image.open(io.BytesIO(data)).size == (1440, 840)


def test_a_shrunk_picture_keeps_its_shape_and_white():
    picture = Image.open(io.BytesIO(plots.shrunk(plots.png(curve(), dpi=100), 0.5)))
    assert picture.size == (360, 210)
    assert picture.convert("RGB").getpixel((1, 209)) == (255, 255, 255)


def test_neither_pyplot_nor_keras_is_loaded():
    code = (
        "import sys, numpy as np; from wdattn import plots; "
        "plots.png(plots.curves([0, 1], {'a': np.ones((2, 2))})); "
        "print('matplotlib.pyplot' in sys.modules, 'keras' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout.split() == ["False", "False"], ran.stderr
