"""Chunked linear attention beside `keras.ops.dot_product_attention`, from 256 to 16,384 tokens.

`KERAS_BACKEND=jax python benchmarks/linear_attention.py` measures, for 3 to 5 minutes, and writes
`docs/benchmarks/linear_attention-jax.json`; `python benchmarks/linear_attention.py --draw` makes
the page and the figures of `docs/` from the files that are there. `--lengths 256,1024` measures
less, and writes nothing.

Both are causal: 4 heads of width 64, float32, 16,384 tokens a call, as 64 sequences of 256 tokens
up to one of 16,384. So the cost of a token depends on the length of its sequence and nothing else.
"train" is a sum of squares and its three gradients. The contenders take turns in one process, so
that a busy machine slows all of them. One whose call took more than `LIMIT` seconds is not tried on
longer sequences.

Peak memory is that of a train step in a process of its own, less that of a process which makes the
same tensors and adds them up; it is read from Linux.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

DOCS = Path(__file__).parents[1] / "docs"
FILE = "linear_attention-{}.json"
TOKENS, HEADS, DIM, ROUNDS, LIMIT = 16_384, 4, 64, 5, 3.0
LENGTHS = tuple(2**power for power in range(8, 15))
FROM = 1024  # the goals are for sequences of this length and longer
LINEAR, DOT, NOTHING = "chunked linear", "dot product", "nothing"
KINDS = ("forward", "train")
PAGE = """# Linear attention beside dot-product attention

`benchmarks/linear_attention.py` times the chunked form of
[`linear_attention`](../api/ops.md) and `keras.ops.dot_product_attention`, both causal, on 16,384
tokens a call: 64 sequences of 256 tokens, up to one of 16,384. A token of linear attention should
cost the same in each. Dot-product attention is measured up to the length at which one call takes
more than 3 seconds.

![Microseconds a token of the forward pass](../images/linear-attention-forward.png)

![Microseconds a token of a train step](../images/linear-attention-train.png)

![Peak memory of a train step](../images/linear-attention-memory.png)

| backend | | dearest / cheapest token from 1k | ahead from | times as fast at 1k | at most |
|---|---|---|---|---|---|"""


def contenders():
    from keras import ops

    from wdattn.ops import linear_attention

    return {
        LINEAR: lambda q, k, v: linear_attention(q, k, v, causal=True),
        DOT: lambda q, k, v: ops.dot_product_attention(q, k, v, is_causal=True),
        NOTHING: lambda q, k, v: q + k + v,
    }


def call(name, kind, length):
    """A function of no arguments that runs one call to its end."""
    from keras import ops

    from wdattn import backend

    attend, rng = contenders()[name], np.random.default_rng(0)
    shape = TOKENS // length, length, HEADS, DIM
    data = [ops.convert_to_tensor(rng.normal(size=shape), "float32") for _ in range(3)]
    if kind == "forward":
        run, arguments = backend.jit(attend), data
    else:
        run = backend.jit(backend.value_and_grad(lambda x: ops.sum(attend(*x) ** 2)))
        arguments = [data]

    def once():
        found = run(*arguments)
        while isinstance(found, tuple | list):
            found = found[-1]
        ops.convert_to_numpy(found[0, 0, 0])

    return once


def timed(once):
    start = time.perf_counter()
    once()
    return time.perf_counter() - start


def times(lengths):
    """Microseconds a token: kind, contender, length and round."""
    found = {kind: {LINEAR: {}, DOT: {}} for kind in KINDS}
    for kind, rows in found.items():
        slow = set()
        for length in lengths:
            calls = {name: call(name, kind, length) for name in rows if name not in slow}
            for once in calls.values():
                once()  # compiles
            for name in calls:
                rows[name][length] = []
            for _ in range(ROUNDS):
                for name, once in calls.items():
                    rows[name][length].append(timed(once) * 1e6 / TOKENS)
            said = {name: statistics.median(rows[name][length]) for name in calls}
            slow |= {name for name, cost in said.items() if cost * TOKENS / 1e6 > LIMIT}
            line = ", ".join(f"{name} {cost:.2f}" for name, cost in said.items())
            print(f"{kind}, {length} tokens: {line} us a token", flush=True)
    return found


def peak(name, length):
    """MiB of a train step in a process of its own."""
    command = [sys.executable, __file__, "--peak", name, "--lengths", str(length)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def measure(lengths):
    import keras

    found = times(lengths)
    # Every second length, since each is a process that starts a backend.
    memory = {name: {} for name in (LINEAR, DOT)}
    for length in lengths[::2]:
        nothing = peak(NOTHING, length)
        for name, rows in memory.items():
            if length in found["train"][name]:
                rows[length] = peak(name, length) - nothing
        line = ", ".join(
            f"{name} {rows[length]:.0f}" for name, rows in memory.items() if length in rows
        )
        print(f"train, {length} tokens: {line} MiB", flush=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    return {"backend": keras.backend.backend(), "machine": machine, **found, "memory": memory}


def goals(record):
    """What the measurements say of the goals, a line each."""
    for kind in KINDS:
        linear, dot = (
            {int(n): statistics.median(v) for n, v in record[kind][name].items()}
            for name in (LINEAR, DOT)
        )
        long = [cost for length, cost in linear.items() if length >= FROM]
        behind = [length for length, cost in dot.items() if cost <= linear[length]]
        ahead = min((length for length in dot if length > max(behind, default=0)), default=None)
        cells = [
            record["backend"],
            kind,
            f"{max(long) / min(long):.2f}",
            f"{ahead or 'nowhere'}",
            f"{dot[FROM] / linear[FROM]:.1f}",
            f"{dot[max(dot)] / linear[max(dot)]:.1f} at {max(dot)}",
        ]
        yield f"| {' | '.join(cells)} |"


def draw():
    from wdattn.plots import curve_panels, png

    records = [
        json.loads(path.read_text())
        for path in sorted((DOCS / "benchmarks").glob(FILE.format("*")))
    ]

    def series(rows, lengths):
        deep = max(len(np.atleast_1d(v)) for row in rows.values() for v in row.values())
        return {
            name: np.array([np.broadcast_to(row.get(str(n), np.nan), deep) for n in lengths]).T
            for name, row in rows.items()
        }

    note = "16,384 tokens a call, 4 heads of width 64, float32, CPU; a seed is a call."
    for kind in (*KINDS, "memory"):
        lengths = LENGTHS[::2] if kind == "memory" else LENGTHS
        figure = curve_panels(
            np.log2(lengths),
            {record["backend"]: series(record[kind], lengths) for record in records},
            xlabel="Tokens in a sequence, log2",
            ylabel="MiB of a train step" if kind == "memory" else f"Microseconds a token, {kind}",
            note=note,
            share=True,
        )
        (DOCS / "images" / f"linear-attention-{kind}.png").write_bytes(png(figure))
    rows = (line for record in records for line in goals(record))
    (DOCS / "benchmarks" / "linear_attention.md").write_text("\n".join([PAGE, *rows, ""]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--draw", action="store_true")
    parser.add_argument("--peak", choices=[LINEAR, DOT, NOTHING])
    parser.add_argument("--lengths", type=lambda text: tuple(map(int, text.split(","))))
    arguments = parser.parse_args()
    if arguments.draw:
        draw()
    elif arguments.peak:
        call(arguments.peak, "train", *arguments.lengths)()
        # Not `ru_maxrss`, which starts from that of the process that started this one.
        status = Path("/proc/self/status").read_text()
        print(int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024)
    else:
        record = measure(arguments.lengths or LENGTHS)
        text = json.dumps(record, indent=1)
        record = json.loads(text)
        print(*goals(record), sep="\n")
        if not arguments.lengths:
            (DOCS / "benchmarks").mkdir(exist_ok=True)
            (DOCS / "benchmarks" / FILE.format(record["backend"])).write_text(text + "\n")


if __name__ == "__main__":
    main()
