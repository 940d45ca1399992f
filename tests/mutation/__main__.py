"""Breaks one line at a time and says which breaks no test sees.

    KERAS_BACKEND=torch python -m tests.mutation --count 400 --seed 0 wdattn/ops wdattn/schedules
    KERAS_BACKEND=torch python -m tests.mutation wdattn/ops/moments.py:34

A mutant is the code with one operator, number, keyword, condition or result changed. Its tests are
the file of its name, then those of its room and those that name what the file defines, the quick
ones first, until one fails. `FILE:LINE` stands for every mutant of that line. Keras and pytest are
imported once; each mutant is a fork of that process, in a temporary copy of the checkout.
"""

import argparse
import ast
import compileall
import os
import py_compile
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutation.sites import mutants

ROOT = Path(__file__).parents[2]
SECONDS_BEFORE_TESTS = 20
PASSED, FAILED, NO_TESTS = 0, 1, 5  # of pytest


def tests_of(path):
    """Files with tests: of a source's name; and those, its room's and those that name its names."""
    parts = Path(path).with_suffix("").parts
    defined = ast.parse((ROOT / path).read_text("utf-8")).body
    kinds = (ast.FunctionDef, ast.ClassDef)
    names = [n.name for n in defined if isinstance(n, kinds) and n.name[0] != "_"]
    naming = re.compile(rf"\b({'|'.join([re.escape('.'.join(parts)), *names])})\b")
    found = {test: str(test.relative_to(ROOT)) for test in sorted(ROOT.glob("tests/**/test_*.py"))}
    own = {name for test, name in found.items() if test.stem == f"test_{parts[-1]}"}
    room = ROOT.joinpath("tests", *parts[1:-1])
    related = {
        name
        for test, name in found.items()
        if (test.parent == room != ROOT / "tests") or naming.search(test.read_text("utf-8"))
    }
    return own, own | related


def checkout(folder):
    """A copy of what git knows, whose compiled files are told apart by their source's digest."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(folder / "wdattn", quiet=1, invalidation_mode=mode)
    return folder


def start(folder, arguments):
    """A fork that runs pytest in that copy and leaves with its exit code."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    os.setsid()  # so that a test's own processes end with it
    code = 3
    try:
        os.chdir(folder)
        os.environ["PYTHONPATH"] = sys.path[0] = str(folder)  # in place of the checkout
        for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
            del sys.modules[name]
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        import pytest

        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *arguments]))
    finally:
        os._exit(code)


class Runner:
    """Runs jobs, `(before, arguments, seconds, after)`, in as many copies as there are workers."""

    def __init__(self, copies):
        self.free, self.running = list(copies), {}

    def submit(self, before, arguments, seconds, after):
        while not self.free:
            self.poll()
        folder = self.free.pop()
        undo = before(folder)
        child, now = start(folder, arguments), time.monotonic()
        self.running[child] = (folder, undo, now, now + seconds, after)

    def drain(self):
        while self.running:
            self.poll()

    def poll(self):
        time.sleep(0.05)
        for child, (folder, undo, began, deadline, after) in list(self.running.items()):
            late = time.monotonic() > deadline
            ended, status = os.waitpid(child, 0 if late and self.end(child) else os.WNOHANG)
            if ended:
                self.end(child)
                del self.running[child]
                undo()
                self.free.append(folder)
                after(None if late else os.waitstatus_to_exitcode(status), time.monotonic() - began)

    @staticmethod
    def end(child):
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return True


def baseline(runner, files):
    """Seconds of each test file on the code as it is; those that fail are left out, and told."""
    seconds = {}

    def note(file):
        def after(code, took):
            if code in (PASSED, NO_TESTS):
                seconds[file] = took
            else:
                print(f"left out, since it fails without a mutant: {file} (exit {code})")

        return after

    for file in files:
        runner.submit(lambda folder: lambda: None, [file], 1800, note(file))
    runner.drain()
    return seconds


def write(mutant, text):
    """Puts a mutant into a copy; what it returns takes it out again."""

    def before(folder):
        path = folder / mutant.path
        path.write_text(mutant.of(text), "utf-8")
        return lambda: path.write_text(text, "utf-8")

    return before


def chosen(places, count, seed):
    """The sample, and the text of each file."""
    found, texts = [], {}
    for place in places:
        name, _, line = place.partition(":")
        path = ROOT / name
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            key = str(source.relative_to(ROOT))
            texts[key] = source.read_text("utf-8")
            found += [m for m in mutants(key, texts[key]) if not line or m.line == int(line)]
    found = sorted(set(found))
    return sorted(random.Random(seed).sample(found, min(count, len(found)))), len(found), texts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="+", metavar="FOLDER|FILE|FILE:LINE")
    parser.add_argument("--count", type=int, default=400, help="how many mutants are drawn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true", help="print the mutants and stop")
    options = parser.parse_args()
    sample, among, texts = chosen(options.places, options.count, options.seed)
    if options.list:
        print(*(mutant.describe(texts[mutant.path]) for mutant in sample), sep="\n")
        return
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ |= {"OMP_NUM_THREADS": "1", "JAX_ENABLE_X64": "1", "CUDA_VISIBLE_DEVICES": ""}
    import keras  # noqa: F401  the forks have it
    import pytest  # noqa: F401

    tests = {path: tests_of(path) for path in {mutant.path for mutant in sample}}
    with tempfile.TemporaryDirectory() as parent:
        copies = [Path(parent, str(job)) for job in range(options.jobs)]
        runner = Runner([checkout(copy) for copy in copies])
        seconds = baseline(runner, sorted(set().union(*(every for _, every in tests.values()))))
        survivors, done = [], []
        for mutant in sample:
            own, every = tests[mutant.path]
            kept = sorted(every & seconds.keys(), key=lambda file: (file not in own, seconds[file]))
            limit = SECONDS_BEFORE_TESTS + 3 * sum(seconds[file] for file in kept)

            def after(code, took, mutant=mutant):
                done.append(mutant)
                if code in (PASSED, NO_TESTS):
                    survivors.append(mutant)
                    print(f"SURVIVED {took:.0f} s  {mutant.describe(texts[mutant.path])}")
                print(f"{len(done)} of {len(sample)}, {len(survivors)} survived", file=sys.stderr)

            # The file's own doctests too.
            arguments = ["--doctest-modules", *kept, mutant.path]
            runner.submit(write(mutant, texts[mutant.path]), arguments, limit, after)
        runner.drain()
    share = len(survivors) / max(1, len(sample))
    print(f"{len(survivors)} of {len(sample)} mutants survived ({share:.1%}), drawn from {among}")


if __name__ == "__main__":
    main()
