"""The command: what it refuses and in which words, what it prints, and when Keras is loaded."""

import importlib.util
import json
import os
import re
import subprocess
import sys

import keras
import pytest

from wdattn import backend_choice, cli, install, papers
from wdattn.ledger import Ledger
from wdattn.reproduction import WorkerLost

BACKEND = keras.backend.backend()
SMOKE = ["reproduce", "ahn2024", "--scale", "smoke", "--claim", "C1", "--backend", BACKEND]


@pytest.fixture(autouse=True)
def nobody_chose_a_scale(monkeypatch):
    monkeypatch.delenv("WDATTN_SCALE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder of results, made by the command."""
    folder = tmp_path_factory.mktemp("cli") / "results"
    assert cli.main([*SMOKE, "--out", str(folder)]) == 0
    return folder


def refused(capsys, arguments):
    """The one line on standard error with which the command ends."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.endswith("\n")
    assert err.startswith("wdattn")
    return err


CLAIMS = ", ".join(f"C{n}" for n in range(1, 26))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "the following arguments are required: command"),
        ("repoduce", "invalid choice: 'repoduce' (choose from"),
        ("list ahn2023", "`key` must be one of ahn2024, got 'ahn2023'"),
        ("reproduce ahn2023", "`key` must be one of ahn2024, got 'ahn2023'"),
        ("reproduce ahn2024 ahn2023", "`key` must be one of ahn2024, got 'ahn2023'"),
        (
            "reproduce ahn2024 --claim C99",
            f"`claim` must be one of {CLAIMS} for ahn2024, got 'C99'",
        ),
        ("reproduce ahn2024 --claim c1", f"`claim` must be one of {CLAIMS}"),
        ("reproduce ahn2024 --experiment bass", "`experiment` must be one of base, noise"),
        ("reproduce ahn2024 --experiment base --claim C5", "claim 'C5' of ahn2024 reads 'noise'"),
        ("reproduce --claim C1", "`claim` 'C1' needs a `key`, one of ahn2024"),
        ("reproduce --experiment base", "`experiment` 'base' needs a `key`, one of ahn2024"),
        ("reproduce --scale big", "argument --scale: invalid choice: 'big' (choose from"),
        ("reproduce --backend theano", "argument --backend: invalid choice: 'theano' (choose from"),
        ("reproduce --seeds 0", "must be N >= 1 or A:B with 0 <= A < B, got '0'"),
        ("reproduce --seeds 5:5", "must be N >= 1 or A:B with 0 <= A < B, got '5:5'"),
        ("reproduce --seeds 6:5", "got '6:5'"),
        ("reproduce --seeds x", "must be N >= 1 or A:B with 0 <= A < B, got 'x'"),
        ("reproduce --seeds 1.5", "got '1.5'"),
        ("reproduce --seeds :4", "got ':4'"),
        ("reproduce --seeds 4:", "got '4:'"),
        ("reproduce --seeds 1:2:3", "got '1:2:3'"),
        ("reproduce --seeds=-1:3", "got '-1:3'"),
        ("reproduce --seeds=-1", "got '-1'"),
        ("reproduce --jobs 0", "argument --jobs: must be an int >= 1, got '0'"),
        ("reproduce --jobs 1.5", "must be an int >= 1, got '1.5'"),
        ("reproduce --jobs=-1", "must be an int >= 1, got '-1'"),
        ("reproduce --sed 4", "unrecognized arguments: --sed"),
        ("report nowhere", "`folder` must hold results, got 'nowhere', which has no ledger"),
        ("report nowhere --format html", "`folder` must hold results, got 'nowhere'"),
        ("report --format xml", "argument --format: invalid choice: 'xml' (choose from"),
        ("spectra", "the following arguments are required: FILE|PRESET"),
        ("spectra x.safetensors --format xml", "argument --format: invalid choice: 'xml'"),
        ("spectra x.safetensors --layer one", "argument --layer: invalid int value: 'one'"),
        ("spectra gone.safetensors", "No such file or directory: 'gone.safetensors'"),
        ("spectra gone.keras", "`source` must be a file or a preset, got 'gone.keras': no file"),
        ("spectra gone.keras --heads 2", "--heads is for .safetensors files alone"),
    ],
)
def test_bad_input(capsys, arguments, words):
    assert words in refused(capsys, arguments.split())


@pytest.mark.parametrize("choice", ["--scale", "--backend", "--format", "command"])
def test_bad_choices_list_the_valid_ones(capsys, choice):
    arguments, valid = {
        "--scale": ("reproduce --scale x", cli.SCALES),
        "--backend": ("reproduce --backend x", backend_choice.BACKENDS),
        "--format": ("report --format x", cli.FORMATS),
        "command": ("x", ("list", "reproduce", "report", "spectra", "backends")),
    }[choice]
    line = refused(capsys, arguments.split())
    assert all(name in line for name in valid)


def test_a_folder_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").touch()  # root may write anywhere, but not below a file
    line = refused(capsys, [*SMOKE, "--out", str(tmp_path / "file" / "results")])
    assert "`out` must be a folder that can be written, got" in line and "Not a directory" in line


def test_a_scale_in_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("WDATTN_SCALE", "big")
    assert "must be one of smoke, laptop, paper, got 'big'" in refused(capsys, ["reproduce"])
    monkeypatch.setenv("WDATTN_SCALE", "smoke")
    assert cli._parser().parse_args(["reproduce"]).scale == "smoke"


def test_a_backend_in_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    line = refused(capsys, ["reproduce", "ahn2024", "--scale", "smoke"])
    assert "KERAS_BACKEND must be one of jax, torch, tensorflow, got 'theano'" in line


def test_a_broken_ledger_is_told(capsys, results, tmp_path):
    folder = tmp_path / "ahn2024"
    folder.mkdir()
    (folder / "ledger.json").write_text("[{")
    (folder / "runs").symlink_to(results / "ahn2024" / "runs")
    assert "ledger.json" in refused(capsys, ["report", str(tmp_path)])


@pytest.fixture
def no_backend(monkeypatch, tmp_path):
    """None of the backends is installed."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name in backend_choice.BACKENDS else real(name),
    )
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


def test_no_backend_installed(capsys, no_backend):
    line = refused(capsys, ["reproduce", "ahn2024", "--scale", "smoke"])
    assert line.endswith(f"no backend is installed; type: {install.missing('jax')}\n")
    line = refused(capsys, ["reproduce", "--backend", "torch"])
    assert line.endswith(f"torch (--backend) is not installed; type: {install.missing('torch')}\n")


def test_backends_without_any(capsys, no_backend):
    with pytest.raises(SystemExit) as ended:
        cli.main(["backends"])
    out, err = capsys.readouterr()
    assert ended.value.code == 2 and err.count("\n") == 1 and "pip install" in err
    for name in backend_choice.BACKENDS:
        assert f"\n{name}: {install.missing(name)}\n" in out  # in one piece, to be copied


def test_backends(capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", BACKEND)
    assert cli.main(["backends"]) == 0
    out = capsys.readouterr().out
    (used,) = [line for line in out.splitlines() if "yes" in line]
    assert BACKEND in used and "KERAS_BACKEND" in used
    assert all(name in out for name in backend_choice.BACKENDS)


def test_list(capsys):
    assert cli.main(["list"]) == 0
    out = capsys.readouterr().out
    for key in papers.keys():
        paper = papers.lookup(key)
        assert key in out and all(claim.sentence in out for claim in paper.claims)
        assert all(f"{name}*" in out for name in paper.headline)
    assert cli.main(["list", papers.keys()[0]]) == 0


# What the options come to


@pytest.fixture
def asked(monkeypatch):
    """The arguments with which the papers' functions were called."""
    calls = []

    def reproduce(key=None, **options):
        calls.append((key, options))
        return Ledger()

    monkeypatch.setattr(papers, "reproduce", reproduce)
    monkeypatch.setattr(papers, "write_report", lambda folder: f"{folder}/report.html")
    return calls


def test_options_become_arguments(asked):
    line = "reproduce ahn2024 --experiment base --claim C6 --scale paper --seeds 100:106 --controls"
    assert cli.main([*line.split(), "--out", "there", "--jobs", "3"]) == 0
    ((key, options),) = asked
    del options["progress"]
    assert key == "ahn2024"
    assert options == {
        "scale": "paper",
        "experiment": "base",
        "claim": "C6",
        "seeds": range(100, 106),
        "controls": True,
        "out": "there",
        "jobs": 3,
    }


def test_defaults(asked):
    assert cli.main(["reproduce"]) == 0
    ((key, options),) = asked
    assert key is None and options["scale"] == "laptop" and options["seeds"] is None
    assert not options["controls"] and options["out"] == "results" and options["jobs"] is None


def test_keys(asked):
    cli.main(["reproduce", "--all", "--seeds", "3"])
    assert [key for key, _ in asked] == list(papers.keys())
    assert asked[0][1]["seeds"] == range(3)


def test_an_interrupt_is_told(capsys, monkeypatch):
    def reproduce(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(papers, "reproduce", reproduce)
    assert cli.main(["reproduce"]) == 130
    assert capsys.readouterr().err == "interrupted: the same command goes on from here\n"


def test_a_full_disk_is_told(capsys, monkeypatch):
    def reproduce(*arguments, **options):
        raise OSError(28, "No space left on device", "results/x")

    monkeypatch.setattr(papers, "reproduce", reproduce)
    assert "No space left on device: 'results/x'" in refused(capsys, ["reproduce"])


def test_a_lost_worker_is_told(capsys, monkeypatch):
    def reproduce(*arguments, **options):
        raise WorkerLost("a worker process was killed")

    monkeypatch.setattr(papers, "reproduce", reproduce)
    assert "a worker process was killed" in refused(capsys, ["reproduce"])


# What it writes and prints


def test_reproduce_prints_the_ledger_and_keeps_it(capsys, results):
    capsys.readouterr()
    assert cli.main([*SMOKE, "--out", str(results)]) == 0  # nothing is left to run
    out, err = capsys.readouterr()
    assert "C1" in out and "inconclusive" in out and "report" not in out
    assert f"report: {results}/report.html" in err
    (row,) = Ledger.load(results / "ahn2024" / "ledger.json")
    assert row["claim"] == "C1" and row["backend"] == BACKEND
    assert papers.reproduce("ahn2024", scale="smoke", claim="C1", out=results).rows == [row]


def test_report_formats(capsys, results):
    capsys.readouterr()
    ledger = Ledger.load(results / "ahn2024" / "ledger.json")
    said = {}
    for form in cli.FORMATS:
        assert cli.main(["report", str(results), "--format", form]) == 0
        said[form] = capsys.readouterr().out
    assert json.loads(said["json"]) == ledger.rows
    assert said["markdown"].startswith("| Claim |") and "✓" not in said["markdown"]
    assert "C1" in said["table"] and "inconclusive" in said["table"]
    page = results / "report.html"
    assert said["html"] == f"{page}\n"
    html = page.read_text("utf-8")
    assert "<!doctype html>" in html.lower() and "C1" in html
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", html)  # self-contained
    assert list((results / "ahn2024" / "figures").glob("*.png"))


def test_a_dry_run_writes_nothing(capsys, tmp_path):
    out = tmp_path / "results"
    assert cli.main([*SMOKE, "--controls", "--dry-run", "--out", str(out)]) == 0
    table = capsys.readouterr().out
    assert "base" in table and "150" in table and "MB" in table
    assert not out.exists()


# In a process of its own


def fresh(code, **environment):
    """What a new interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, env={**os.environ, **environment},
    )  # fmt: skip
    return done.stdout


def test_the_backend_is_chosen_before_keras_is_loaded(tmp_path):
    other = next(name for name in backend_choice.installed() if name != BACKEND)
    code = f"""
import sys
from wdattn.cli import main
assert "keras" not in sys.modules
main([*{SMOKE!r}, "--dry-run", "--out", {str(tmp_path / "r")!r}])
print(sys.modules["keras"].backend.backend())
"""
    assert fresh(code, KERAS_BACKEND=other).splitlines()[-1] == BACKEND


def test_listing_and_refusing_load_no_keras():
    code = """
import sys
from wdattn.cli import main
main(["list"])
main(["backends"])
for bad in (["reproduce", "x"], ["reproduce", "--seeds", "0"], ["report", "nowhere"]):
    try:
        main(bad)
    except SystemExit as ended:
        assert ended.code == 2
print(sorted({"keras", "jax", "tensorflow", "torch"} & set(sys.modules)))
"""
    assert fresh(code).splitlines()[-1] == "[]"


def test_python_dash_m():
    done = subprocess.run(
        [sys.executable, "-m", "wdattn", "--version"], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"wdattn \d+\.\d+\.\S+\n", done.stdout)
