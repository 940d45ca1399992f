"""From a paper to its ledger: what a call refuses, makes, keeps and sets aside."""

import json
import os
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest

from tests.ledger_rows import made_row
from wdattn.ledger import Ledger, Outlook, Selection, reproduce
from wdattn.ledger.report import judged, write_report
from wdattn.ledger.seeds import MOST
from wdattn.reproduction import Experiment, Figure, Scale, Store, StoreBusy, end
from wdattn.reproduction.run import training as loop

BACKEND = keras.backend.backend()
CLAIMS = ("C1", "C2", "C3", "C4")


@pytest.fixture
def call(paper, tmp_path):
    """Re-measures the toy paper at smoke scale; `changes` replaces arguments."""

    def make(selection=None, out=tmp_path, **changes):
        arguments = {"scale": "smoke", "seeds": None, "controls": False, "jobs": 1}
        selections = [selection or Selection.of(paper)]
        return reproduce.reproduce(selections, out=out, progress=None, **arguments | changes)

    return make


def copied(name, tmp_path, tmp_path_factory, make):
    """Fills `tmp_path` with what `make` leaves in a folder, and gives what it gives; made once."""
    if name not in MADE:
        folder = tmp_path_factory.mktemp("made")
        MADE[name] = folder, make(folder)
    folder, made = MADE[name]
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return made


MADE = {}


@pytest.fixture
def first(paper, call, tmp_path, tmp_path_factory):
    """The ledger of the first claim, in `tmp_path`."""
    one = Selection.of(paper, "C1")
    return copied("first", tmp_path, tmp_path_factory, lambda folder: call(one, folder))


@pytest.fixture
def idle(monkeypatch):
    """After it was called, training fails."""

    def train(*arguments, **options):
        raise AssertionError("a finished run was repeated")

    return lambda: monkeypatch.setattr(loop, "train", train)


def silent(line):
    raise AssertionError(line)


def stamps(folder):
    """Records by name: bytes and time of change."""
    paths = (folder / "toy2024" / "runs").rglob("*.npz")
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def test_the_ledger_has_a_row_a_claim_and_its_file_is_the_ledger(call, tmp_path, idle, paper):
    ledger = call()
    assert tuple(row.claim for row in ledger) == CLAIMS
    for row in ledger:
        assert (row.backend, row.scale, row.seeds) == (BACKEND, "smoke", (0, 1))
        assert row.verdict == "inconclusive"
        assert row.control is None  # not asked for
        (versions,) = row.versions
        assert versions["backend"] == BACKEND and versions["keras"] == keras.__version__
        assert row.builds == ("toy-1",)
    assert "3 seeds are needed" in ledger[0].why and ledger[0].parts[0].effect is not None
    assert Ledger.load(tmp_path / "toy2024" / "ledger.json") == ledger
    assert judged([paper], tmp_path, silent) == ledger
    # A second call runs nothing, and one for a claim keeps the other rows.
    before = stamps(tmp_path)
    idle()
    assert call(out=str(tmp_path)) == ledger
    assert call(Selection.of(paper, "C2")).rows == [ledger[1]]
    assert Ledger.load(tmp_path / "toy2024" / "ledger.json") == ledger
    assert stamps(tmp_path) == before


def test_other_seeds_add_a_row(call, paper, tmp_path, first):
    one = Selection.of(paper, "C1")
    (row,) = call(one, seeds=np.arange(1, 2))
    assert row.seeds == (1,) and row.verdict == "inconclusive"
    kept = Ledger.load(tmp_path / "toy2024" / "ledger.json")
    assert [row.seeds for row in kept] == [(0, 1), (1,)]
    assert judged([paper], tmp_path, silent) == kept


def test_controls_are_judged_where_they_are_asked_for(call, paper):
    (row,) = call(Selection.of(paper, "C1"), controls=True, scale="laptop")
    assert row.control not in (None, "reproduced") and len(row.control_parts) == 1


def test_a_busy_store_is_told(call, tmp_path):
    with Store(tmp_path / "toy2024").writing():
        with pytest.raises(StoreBusy, match=rf"is being written by process {os.getpid()}"):
            call()


# Two builds of the code in one store


@pytest.fixture
def two_builds(call, paper, tmp_path, tmp_path_factory):
    """The ledgers of two builds of the code that wrote to `tmp_path`, one after the other."""
    papers = paper, replace(paper, code="toy-2")

    def make(folder):
        return [call(Selection.of(one, "C1"), folder, scale="laptop") for one in papers]

    return copied("two builds", tmp_path, tmp_path_factory, make)


def dated_later(monkeypatch, code):
    """Lets each record of that build claim that it was finished last."""
    read = Store.records

    def records(self):
        for record in read(self):
            later = {"finished": "2999-01-01T00:00:00+00:00"}
            manifest = record.manifest | (later if record.manifest["build"] == code else {})
            yield replace(record, manifest=manifest)

    monkeypatch.setattr(Store, "records", lambda self: list(records(self)))


def tampered(monkeypatch, code):
    """Makes the losses of one build ten times as large where an arm is plain."""
    read = Store.records

    def records(self):
        for record in read(self):
            if record.manifest["build"] == code and record.settings.kind == "plain":
                steps, losses = record.columns["loss"]
                record = replace(record, columns={**record.columns, "loss": (steps, 10 * losses)})
            yield record

    monkeypatch.setattr(Store, "records", lambda self: list(records(self)))


@pytest.mark.parametrize("newer", ["toy-1", "toy-2"])
def test_a_report_judges_the_build_that_its_call_made_whatever_the_dates(
    two_builds, paper, tmp_path, monkeypatch, newer
):
    """One `reproduce` printed x0.89 once, and its page said x1.79."""
    earlier, second = two_builds
    assert earlier[0].builds == ("toy-1",) and second[0].builds == ("toy-2",)
    tampered(monkeypatch, "toy-1")
    dated_later(monkeypatch, newer)
    assert judged([paper], tmp_path, silent) == second
    page = write_report([paper], tmp_path, silent).read_text("utf-8")
    assert f"{np.exp(second[0].parts[0].effect):.2f}" in page


def test_a_row_of_an_older_call_is_judged_on_its_own_records(two_builds, paper, tmp_path):
    earlier, _ = two_builds
    earlier.save(tmp_path / "toy2024" / "ledger.json")
    assert judged([paper], tmp_path, silent) == earlier


def test_a_row_without_records_of_its_build_is_not_judged(two_builds, paper, tmp_path):
    _, second = two_builds
    Ledger([replace(second[0], builds=("toy-3",))]).save(tmp_path / "toy2024" / "ledger.json")
    (row,) = judged([paper], tmp_path, silent)
    assert row.verdict == "not judged" and row.builds == ()


def test_records_of_other_versions_are_told_and_keep_theirs(first, paper, tmp_path, monkeypatch):
    read = Store.records

    def old(self):
        made_with = {"backend": BACKEND, "backend_version": "0.0.1", "keras": "1.2.3"}
        return [
            replace(record, manifest=record.manifest | {"versions": made_with})
            for record in read(self)
        ]

    monkeypatch.setattr(Store, "records", old)
    told = []
    (row,) = judged([paper], tmp_path, told.append)
    assert row.versions == ({"backend": BACKEND, "backend_version": "0.0.1", "keras": "1.2.3"},)
    assert f"records made with keras 1.2.3 are judged under {keras.__version__}" in told
    assert len(told) == 2 and f"records made with {BACKEND} 0.0.1" in told[1]
    page = write_report([paper], tmp_path, lambda line: None).read_text("utf-8")
    assert "records made with keras 1.2.3 are judged under" in page and "keras 1.2.3" in page


# Files that hold something else


@pytest.mark.parametrize("text", ["[{", "{}", "\0"])
def test_a_broken_ledger_is_set_aside_and_made_anew(call, first, paper, tmp_path, text):
    one = Selection.of(paper, "C1")
    path = tmp_path / "toy2024" / "ledger.json"
    for _ in range(2):  # the second does not overwrite the first
        path.write_text(text)
        with pytest.warns(UserWarning, match=r"ledger\.json was moved to .*set_aside") as told:
            assert call(one) == first
        assert len(told) == 1 and "\n" not in str(told[0].message)
        assert Ledger.load(path) == first
    aside = sorted((tmp_path / "toy2024" / "set_aside").iterdir())
    assert [one.read_text() for one in aside] == [text, text]


def test_a_malformed_row_does_not_take_the_others_with_it(call, first, paper, tmp_path):
    path = tmp_path / "toy2024" / "ledger.json"
    plain = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps([*plain, {"claim": "C9"}]))
    with pytest.warns(UserWarning, match=r"ledger\.json was moved to .*row 1: a row must have"):
        call(Selection.of(paper, "C2"))
    assert [row.claim for row in Ledger.load(path)] == ["C1", "C2"]


def test_a_report_leaves_out_rows_that_are_none_of_the_papers(first, paper, tmp_path):
    (row,) = first
    strange = [
        replace(row, claim="C99"),
        replace(row, scale="huge"),
        replace(row, paper="other2024"),
        replace(row, claim="C2"),  # its runs were not made: judged all the same
    ]
    Ledger([row, *strange]).save(tmp_path / "toy2024" / "ledger.json")
    told = []
    rows = judged([paper], tmp_path, told.append)
    assert rows[0] == row and rows[1].claim == "C2"
    assert len(rows) == 2 and len(told) == 3
    assert all("is left out: `" in line and "\n" not in line for line in told)


def test_a_row_cannot_name_a_place_outside_of_the_store(tmp_path, paper, first):
    (row,) = first
    path = tmp_path / "toy2024" / "ledger.json"
    (plain,) = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps([plain, plain | {"backend": "/../../../../X"}]))
    told = []
    before = sorted(tmp_path.parent.iterdir())
    write_report([paper], tmp_path, told.append)
    assert len(told) == 1 and "`backend` must be one of" in told[0]
    assert sorted(tmp_path.parent.iterdir()) == before
    assert judged([paper], tmp_path, told.append).rows == [row]


# Pictures


@pytest.fixture
def drawn(paper):
    """The toy paper with two figures, and the names of those that were drawn."""
    from matplotlib.figure import Figure as Canvas

    names = []

    def draw(name):
        def figure(records, note):
            names.append(name)
            canvas = Canvas(figsize=(2, 1))
            canvas.subplots().plot([run["loss"].mean() for run in next(iter(records.values()))])
            canvas.suptitle(note[:9])
            return canvas

        return figure

    base = paper.claims[0].experiment
    study = Experiment("study", base.settings, {"steps": 3}, {"height": end}, {"smoke": Scale(2)})
    arms = {"plain": {"kind": "plain", "learning_rate": 0.05}}
    figures = (
        Figure("beside", "Figure 1", base, arms, ("loss",), draw("beside"), claim="C1"),
        Figure("whole", "Figure 2", base, arms, ("loss",), draw("whole")),
    )
    return replace(paper, figures=figures, studies=(study,)), names


def test_a_second_report_redraws_nothing(first, drawn, tmp_path):
    paper, names = drawn
    page = write_report([paper], tmp_path, silent)
    assert names == ["beside", "whole"]
    folder = tmp_path / "toy2024" / "figures"
    pictures = {f"{n}-smoke-seeds0to1-{BACKEND}.png" for n in names} | {"ledger.png"}
    assert {path.name for path in folder.glob("*.png")} == pictures
    before = page.read_bytes(), {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    write_report([paper], tmp_path, silent)
    assert names == ["beside", "whole"]
    after = page.read_bytes(), {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert after == before


def test_a_picture_is_drawn_anew_where_its_records_or_its_file_changed(
    first, drawn, tmp_path, monkeypatch
):
    paper, names = drawn
    write_report([paper], tmp_path, silent)
    folder = tmp_path / "toy2024" / "figures"
    whole = folder / f"whole-smoke-seeds0to1-{BACKEND}.png"
    picture = whole.read_bytes()
    whole.write_bytes(b"\x89PNG nothing of it")
    write_report([paper], tmp_path, silent)
    assert names == ["beside", "whole", "whole"] and whole.read_bytes() == picture
    (folder / "drawn.json").write_text("[")
    write_report([paper], tmp_path, silent)
    assert names[3:] == ["beside", "whole"]
    tampered(monkeypatch, "toy-1")
    write_report([paper], tmp_path, silent)
    assert names[5:] == ["beside", "whole"] and whole.read_bytes() != picture


def test_a_picture_is_drawn_anew_where_its_code_changed(first, drawn, tmp_path, monkeypatch):
    from wdattn.ledger import pictures

    paper, names = drawn
    write_report([paper], tmp_path, silent)
    monkeypatch.setattr(pictures.matplotlib, "__version__", "0")
    pictures._code_digest.cache_clear()
    write_report([paper], tmp_path, silent)
    pictures._code_digest.cache_clear()
    assert names == ["beside", "whole"] * 2


def test_a_kill_while_a_page_is_written_keeps_the_old(call, first, drawn, tmp_path, monkeypatch):
    paper, _ = drawn
    page = write_report([paper], tmp_path, silent)
    before = page.read_bytes()
    call(Selection.of(paper, "C2"))

    def killed(self, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write_report([paper], tmp_path, silent)
    assert page.read_bytes() == before
    assert b"C2" in write_report([paper], tmp_path, silent).read_bytes()


# What is still to run


def outlook(paper, out, claim=None, **changes):
    arguments = {"scale": "smoke", "seeds": None, "controls": False}
    return reproduce.plan([Selection.of(paper, claim)], out=out, **arguments | changes)


def test_a_plan_counts_and_writes_nothing(paper, first, tmp_path):
    empty = tmp_path / "not there"
    (one,) = outlook(paper, empty, "C1", controls=True)
    assert isinstance(one, Outlook) and not empty.exists()
    # Both kinds on two seeds; the control is the fancy one on another stream.
    assert (one.paper, one.experiment, one.runs, one.stored) == ("toy2024", "base", 6, 0)
    assert (one.steps, one.parameters, one.searched) == (12, 4, False)
    before = stamps(tmp_path)
    (one,) = outlook(paper, tmp_path, "C1", controls=True)
    assert (one.runs, one.stored) == (6, 4) and stamps(tmp_path) == before
    (one,) = outlook(paper, tmp_path, "C1", seeds=range(1, 4))
    assert (one.runs, one.stored) == (6, 2)


def test_a_search_that_was_not_made_is_told(paper, tmp_path):
    (one,) = outlook(paper, tmp_path, "C3")
    # Three rates on two seeds, then two judged runs of the best and two of the other kind.
    assert one.searched and one.runs == 3 * 2 + 2 + 2


# What a call refuses


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": "big"}, "`scale` must be one of laptop, smoke .*, got 'big'"),
        ({"seeds": 0}, "`seeds` must be an int in"),
        ({"seeds": "abc"}, "`seeds` must be an int in"),
        ({"seeds": 10**9}, "`seeds` must be an int in"),
        ({"seeds": range(MOST + 1)}, "`seeds` must be an int in"),
        ({"jobs": 0}, "`jobs` must be"),
    ],
)
def test_bad_arguments_are_told_before_anything_is_made(call, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        call(out=tmp_path / "results", **arguments)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("out", [None, 3, "a\0b"])
def test_a_folder_that_is_none_is_refused(call, out):
    with pytest.raises(ValueError, match="`out` must be a folder that can be written"):
        call(out=out)


def test_a_folder_that_cannot_be_written(call, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"`out` must be a folder that can be written, got .*file"):
        call(out=tmp_path / "file" / "results")


def test_a_study_has_no_claims_and_its_scales_are_its_own(drawn):
    paper, _ = drawn
    study = Selection.of(paper, experiment="study")
    assert study.claims == () and study.studies == ("study",)
    study.check("smoke")
    with pytest.raises(ValueError, match="`scale` must be one of smoke .*, got 'laptop'"):
        study.check("laptop")
    assert Selection.of(paper, "C1").studies == ()
    assert Selection.of(paper).studies == ("study",)


def test_a_folder_without_a_row_is_refused(tmp_path, paper):
    Ledger([made_row(claim="C99")]).save(tmp_path / "toy2024" / "ledger.json")
    with pytest.raises(ValueError, match="has no ledger with a row"):
        judged([paper], tmp_path, lambda line: None)
