"""Stored runs are found by their settings and judged anew."""

import warnings

import numpy as np
import pytest

from tests.made_records import finished
from wdattn.reproduction import (
    Claim,
    Control,
    Inside,
    Record,
    Store,
    difference,
    judge,
    load,
    reads,
)
from wdattn.reproduction.judge.records import Records

PLAIN, FANCY = {"kind": "plain"}, {"kind": "fancy"}


@reads("height")
def height(run):
    return run["height"].mean()


@pytest.fixture
def claim(experiment):
    return Claim(
        "C1",
        experiment,
        "Plain is higher.",
        Inside(difference(height, PLAIN, minus=FANCY), low=0.5),
        control=Control(FANCY | {"stream": 1}, of=PLAIN),
    )


@pytest.fixture
def fill(experiment):
    """Saves made-up runs of both arms, as on that backend."""

    def save(folder, backend="jax", arms=(PLAIN, FANCY), seeds=range(5), **manifest):
        runs = []
        for run in (experiment.at("laptop").run(arm, seed) for arm in arms for seed in seeds):
            cells = np.full(2, 2.0 * (run.kind == "plain") + 0.1 * run.seed * run.stream)
            runs.append((run, {"height": (np.array([5, 10]), cells)}))
        with (store := Store(folder)).writing():
            store.add(finished(*runs, backend=backend, **manifest))

    return save


def test_load_reads_every_store_below(tmp_path, fill):
    fill(tmp_path / "toy2024")
    fill(tmp_path / "deep" / "other2024", "torch", seeds=[3])
    records = load(tmp_path)
    assert len(records) == 12 and records.backends() == ("jax", "torch")
    assert len(records.on("torch")) == 2 and records.on("torch").backends() == ("torch",)
    assert records.on("torch") is records.on("torch")  # a report asks for each row and figure
    assert len(load(str(tmp_path / "deep"))) == 2
    assert {record.settings.kind for record in records} == {"plain", "fancy"}
    assert isinstance(records[0], Record)


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_without_runs_raises(tmp_path, name):
    with pytest.raises(ValueError, match="`folder` must hold finished runs, got .* which has none"):
        load(tmp_path / name)


def test_what_cannot_be_read_is_left_out_with_a_warning(tmp_path, fill):
    fill(tmp_path)
    fill(tmp_path, "torch", seeds=[3])
    (broken,) = tmp_path.glob("runs/jax/*.npz")
    broken.write_bytes(broken.read_bytes()[:99])
    with pytest.warns(UserWarning, match=rf"{broken.name} is left out \(BadZipFile"):
        assert len(load(tmp_path)) == 2
    assert broken.exists()  # reading moves nothing


def test_find_gives_the_newest(experiment):
    run = experiment.at("laptop").run(PLAIN, 0)
    old, new = (
        Record(run, {}, {"finished": at, "backend": "jax"}) for at in ("2024-01", "2025-01")
    )
    for order in ([old, new], [new, old]):
        assert Records(order).find(run) is new
    assert Records([old]).find(experiment.at("laptop").run(PLAIN, 1)) is None


def test_judge_reads_the_scales_seeds(tmp_path, fill, claim):
    fill(tmp_path)
    records = load(tmp_path)
    assert judge(claim, records).verdict == "reproduced"
    assert len(judge(claim, records).parts[0].values) == 5
    assert judge(claim, records, seeds=(1, 3, 4)).parts[0].values == (2, 2, 2)
    assert judge(claim, records, seeds=(1, 3, 6)).verdict == "not judged"
    assert judge(claim, records, scale="smoke").verdict == "not judged"


def test_judge_reads_the_control(tmp_path, fill, claim):
    fill(tmp_path)
    assert judge(claim, load(tmp_path), control=True).verdict == "not judged"
    fill(tmp_path, arms=[FANCY | {"stream": 1}])
    assert judge(claim, load(tmp_path), control=True).verdict == "contradicted"


def test_records_of_two_backends_are_not_mixed(tmp_path, fill, claim):
    fill(tmp_path, "jax")
    fill(tmp_path, "torch", seeds=range(3))
    with pytest.raises(ValueError, match=r"of one backend, got jax, torch: choose with records.on"):
        judge(claim, load(tmp_path))
    assert judge(claim, load(tmp_path).on("torch")).verdict == "not judged"
    assert judge(claim, load(tmp_path).on("jax")).verdict == "reproduced"


def test_an_unknown_scale_raises(tmp_path, fill, claim):
    fill(tmp_path)
    with pytest.raises(ValueError, match="seeded for experiment 'base', got 'big'"):
        judge(claim, load(tmp_path), scale="big")


def test_other_versions_warn(tmp_path, fill, claim):
    fill(tmp_path, versions={"keras": "2.0.0", "numpy": np.__version__})
    with pytest.warns(UserWarning, match=r"made with keras 2\.0\.0 are judged under 3"):
        assert judge(claim, load(tmp_path)).verdict == "reproduced"


def test_the_same_versions_do_not_warn(tmp_path, fill, claim):
    fill(tmp_path, versions={"numpy": np.__version__})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge(claim, load(tmp_path))
