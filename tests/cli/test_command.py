"""The command: what it refuses and in which words, what it prints, and when Keras is loaded."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest

from wdattn import backend_choice, cli, install, papers
from wdattn.cli import report
from wdattn.cli.command import COMMANDS, parser
from wdattn.ledger import Ledger, stored
from wdattn.reproduction import WorkerLost
from wdattn.reproduction.design import discovery

BACKEND = keras.backend.backend()
KEY, PAPERS = "toy2024", {"toy2024": "tests.toy2024"}
SMOKE = ["reproduce", KEY, "--scale", "smoke", "--claim", "C1", "--backend", BACKEND]


@pytest.fixture(autouse=True)
def only_the_made_up_paper(monkeypatch):
    monkeypatch.setattr(discovery, "packages", lambda: PAPERS)


@pytest.fixture(autouse=True)
def nobody_chose_a_scale(monkeypatch):
    monkeypatch.delenv("WDATTN_SCALE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder of results, made by the command."""
    folder = tmp_path_factory.mktemp("cli") / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discovery, "packages", lambda: PAPERS)
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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "the following arguments are required: command"),
        ("repoduce", "invalid choice: 'repoduce' (choose from"),
        ("list toys", "`key` must be one of toy2024, got 'toys'"),
        ("reproduce toys", "`key` must be one of toy2024, got 'toys'"),
        ("reproduce toy2024 toys", "`key` must be one of toy2024, got 'toys'"),
        (
            "reproduce toy2024 --claim C99",
            "`claim` must be one of C1, C2, C3 for toy2024, got 'C99'",
        ),
        ("reproduce toy2024 --claim c1", "`claim` must be one of C1, C2, C3"),
        ("reproduce toy2024 --experiment bass", "`experiment` must be one of momentum for toy2024"),
        ("reproduce --claim C1", "`claim` 'C1' needs a `key`, one of toy2024"),
        ("reproduce --experiment momentum", "'momentum' needs a `key`, one of toy2024"),
        ("reproduce --scale big", "`scale` must be one of smoke, laptop"),
        ("reproduce --seeds 1000000000", "at most 10000 seeds, got '1000000000'"),
        ("reproduce --seeds 5:1000000000000", "at most 10000 seeds, got '5:1000000000000'"),
        ("reproduce --seeds 9999999999:10000000000", "at most 10000 seeds, got '9999999999:"),
        ("reproduce --backend theano", "argument --backend: invalid choice: 'theano' (choose from"),
        (
            "reproduce --seeds 0",
            "must be N >= 1 or A:B with 0 <= A < B, at most 10000 seeds, got '0'",
        ),
        (
            "reproduce --seeds 5:5",
            "must be N >= 1 or A:B with 0 <= A < B, at most 10000 seeds, got '5:5'",
        ),
        ("reproduce --seeds 6:5", "got '6:5'"),
        (
            "reproduce --seeds x",
            "must be N >= 1 or A:B with 0 <= A < B, at most 10000 seeds, got 'x'",
        ),
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
        ("new-paper Toys", "`key` must be a name and a year"),
        ("new-paper toy2024", "`key` must be a new one, 'toy2024' is taken"),
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


@pytest.mark.parametrize("choice", ["--backend", "--format", "command"])
def test_bad_choices_list_the_valid_ones(capsys, choice):
    arguments, valid = {
        "--backend": ("reproduce --backend x", backend_choice.BACKENDS),
        "--format": ("report --format x", report.FORMATS),
        "command": ("x", ("list", "reproduce", "report", "spectra", "new-paper", "backends")),
    }[choice]
    line = refused(capsys, arguments.split())
    assert all(name in line for name in valid)


def test_a_folder_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").touch()  # root may write anywhere, but not below a file
    line = refused(capsys, [*SMOKE, "--out", str(tmp_path / "file" / "results")])
    assert "`out` must be a folder that can be written, got" in line and "Not a directory" in line


def test_a_scale_in_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("WDATTN_SCALE", "big")
    assert "must be one of smoke, laptop" in refused(capsys, ["reproduce"])
    monkeypatch.setenv("WDATTN_SCALE", "smoke")
    assert parser().parse_args(["reproduce"]).scale == "smoke"


def test_a_backend_in_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    line = refused(capsys, ["reproduce", KEY, "--scale", "smoke"])
    assert "KERAS_BACKEND must be one of jax, torch, tensorflow, got 'theano'" in line


@pytest.mark.parametrize("data", [b"[{", b"\xff\x00", b"{}", b"[" * 10**5, b'[{"claim": "\x1b"}]'])
def test_a_ledger_that_is_none_is_told_in_one_line(capsys, results, tmp_path, data):
    folder = tmp_path / KEY
    folder.mkdir()
    (folder / "ledger.json").write_bytes(data)
    (folder / "runs").symlink_to(results / KEY / "runs")
    for form in ("table", "html"):
        with pytest.raises(SystemExit) as ended:
            cli.main(["report", str(tmp_path), "--format", form])
        out, err = capsys.readouterr()
        assert ended.value.code == 2 and out == "" and "ledger.json" in err
        assert "\x1b" not in err and err.splitlines()[-1].startswith("wdattn: error: ")


def test_a_malformed_row_does_not_take_the_others_with_it(capsys, results, tmp_path):
    folder = tmp_path / KEY
    folder.mkdir()
    plain = json.loads((results / KEY / "ledger.json").read_text("utf-8"))
    hostile = plain[0] | {"backend": "/../../../../X\x1b[2J"}
    (folder / "ledger.json").write_text(json.dumps([hostile, *plain]))
    (folder / "runs").symlink_to(results / KEY / "runs")
    assert cli.main(["report", str(tmp_path), "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == plain
    assert err.count("\n") == 1 and "row 0: `backend` must be" in err and "\x1b" not in err


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
    line = refused(capsys, ["reproduce", KEY, "--scale", "smoke"])
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
    paper = papers.lookup(KEY)
    assert KEY in out and all(claim.sentence in out for claim in paper.claims)
    assert all(f"{name}*" in out for name in paper.headline)
    assert cli.main(["list", KEY]) == 0


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("line", ["list", "reproduce --dry-run", "report", "backends"])
def test_tables_fit_narrow_terminals(capsys, results, monkeypatch, width, line):
    monkeypatch.setenv("COLUMNS", str(width))
    arguments = line.split()
    if arguments[0] == "reproduce":
        arguments += ["--scale", "smoke", "--backend", BACKEND, "--out", str(results / "empty")]
    capsys.readouterr()
    assert cli.main([*arguments, *([str(results)] if line == "report" else [])]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.split("\n"))) <= width and "\N{HORIZONTAL ELLIPSIS}" not in out


# What the options come to


@pytest.fixture
def asked(monkeypatch):
    """The arguments with which the papers' functions were called."""
    calls = []

    def reproduce(key=None, **options):
        calls.append((key, options))
        return Ledger()

    monkeypatch.setattr(papers, "reproduce", reproduce)
    monkeypatch.setattr(papers, "write_report", lambda folder, note: f"{folder}/report.html")
    return calls


def test_options_become_arguments(asked):
    line = (f"reproduce {KEY} --experiment momentum --claim C2 --scale laptop --seeds 100:106 "
            "--controls")  # fmt: skip
    assert cli.main([*line.split(), "--out", "there", "--jobs", "3"]) == 0
    ((key, options),) = asked
    del options["progress"]
    assert key == KEY
    assert options == {
        "scale": "laptop",
        "experiment": "momentum",
        "claim": "C2",
        "seeds": tuple(range(100, 106)),
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
    assert [key for key, _ in asked] == [KEY]
    assert asked[0][1]["seeds"] == (0, 1, 2)


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
    (row,) = Ledger.load(results / KEY / "ledger.json")
    assert row.claim == "C1" and row.backend == BACKEND
    assert papers.reproduce(KEY, scale="smoke", claim="C1", out=results).rows == [row]


def test_report_formats(capsys, results):
    capsys.readouterr()
    ledger = Ledger.load(results / KEY / "ledger.json")
    said = {}
    for form in (*report.FORMATS, "html"):
        assert cli.main(["report", str(results), "--format", form]) == 0
        said[form] = capsys.readouterr().out
    assert stored.from_json(said["json"]) == (ledger.rows, [])
    assert said["markdown"].startswith("| Claim |") and "✓" not in said["markdown"]
    assert "C1" in said["table"] and "inconclusive" in said["table"]
    page = results / "report.html"
    assert said["html"] == f"{page}\n"
    html = page.read_text("utf-8")
    assert "<!doctype html>" in html.lower() and "C1" in html
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", html)  # self-contained
    assert list((results / KEY / "figures").glob("*.png"))


def test_a_dry_run_writes_nothing(capsys, tmp_path):
    out = tmp_path / "results"
    assert cli.main([*SMOKE, "--controls", "--dry-run", "--out", str(out)]) == 0
    table = capsys.readouterr().out
    assert "momentum" in table and " 4 " in table and "MB" in table
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
from wdattn.reproduction.design import discovery
assert "keras" not in sys.modules
discovery.packages = lambda: {PAPERS!r}
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


# An output that fails, and Ctrl-C

DRIVER = f"""
import sys
from wdattn.reproduction.design import discovery
discovery.packages = lambda: {PAPERS!r}
from wdattn.cli import main
sys.exit(main())
"""


def started(*arguments, **options):
    """The command in a process of its own, with the made-up paper alone."""
    environment = {**os.environ, **options.pop("env", {}), "COLUMNS": "80"}
    line = [sys.executable, "-c", DRIVER, *map(str, arguments)]
    return subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, **options)


@pytest.fixture
def fresh_results(results, tmp_path):
    """A copy of the results without what is made of them."""
    import shutil

    shutil.copytree(results, tmp_path / "results")
    (tmp_path / "results" / "report.html").unlink(missing_ok=True)
    shutil.rmtree(tmp_path / "results" / KEY / "figures", ignore_errors=True)
    (tmp_path / "results" / KEY / "ledger.json").unlink()
    return tmp_path / "results"


def is_whole(folder):
    """Whether page, pictures and ledger are there, with nothing half written beside them."""
    page = (folder / "report.html").read_text("utf-8")
    (row,) = Ledger.load(folder / KEY / "ledger.json")
    pictures = list((folder / KEY / "figures").glob("*.png"))
    return (page.endswith("</html>\n") and row.claim == "C1" and len(pictures) >= 1
            and not list(folder.rglob("*.partial")))  # fmt: skip


def test_a_reader_that_has_gone_costs_the_table_alone(fresh_results):
    read, write = os.pipe()
    os.close(read)  # as `| head -0` leaves it
    process = started(*SMOKE, "--out", fresh_results, stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 141 and is_whole(fresh_results)
    assert b"Traceback" not in err and b"Exception ignored" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_device_costs_the_table_alone(fresh_results):
    with Path("/dev/full").open("wb") as full:
        process = started(*SMOKE, "--out", fresh_results, stdout=full)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 1 and is_whole(fresh_results)
    assert err.splitlines()[-1] == b"wdattn: standard output: No space left on device"


def test_an_ascii_terminal_shows_what_it_can(fresh_results):
    process = started(
        *SMOKE, "--out", fresh_results, stdout=subprocess.PIPE, env={"PYTHONIOENCODING": "ascii"}
    )
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0 and is_whole(fresh_results), err
    assert b"? inconclusive" in out and re.search(rb"x[\d.]+ \[", out) and b"-" * 60 in out


# As it is loaded, whatever TF_CPP_MIN_LOG_LEVEL is.
TENSORFLOW_SAYS = re.compile(r"WARNING: All log messages before absl|[IWE]\d{4} \d\d:")


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.6, 1.0])
def test_ctrl_c_in_the_first_second_is_one_line(tmp_path, seconds):
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from wdattn.cli import main; print(flush=True); sys.exit(main())"
    )
    line = [sys.executable, "-c", code, "reproduce", "--dry-run", "--backend", BACKEND]
    with subprocess.Popen(
        [*line, "--out", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:  # fmt: skip
        process.stdout.readline()  # from here on it is our business
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    said = [line for line in err.decode().splitlines() if not TENSORFLOW_SAYS.match(line)]
    assert said == ["interrupted: the same command goes on from here"]


def test_a_new_paper_is_laid(capsys, tmp_path):
    assert cli.main(["new-paper", "made2031", "--folder", str(tmp_path)]) == 0
    assert capsys.readouterr().out.replace("\n", "") == str(tmp_path / "made2031")
    assert (tmp_path / "made2031" / "__init__.py").exists()


def test_every_command_says_what_it_is_for(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    told = capsys.readouterr().out
    assert all(name in told for name in ("list", "reproduce", "report", "new-paper", "backends"))
    assert len(COMMANDS) == 6
