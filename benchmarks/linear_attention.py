"""Chunked linear attention beside `keras.ops.dot_product_attention`, from 256 to 16,384 tokens.

`KERAS_BACKEND=jax python benchmarks/linear_attention.py` measures, for 3 to 5 minutes, and writes
`docs/benchmarks/linear_attention-jax.json`; `python benchmarks/linear_attention.py --draw` makes
the page and the figures of `docs/` from the files that are there. `--lengths 256,1024` measures
less, and writes nothing.

Both are causal: 4 heads of width 64, float32, 16,384 tokens a call, as 64 sequences of 256 tokens
up to one of 16,384. So the cost of a token depends on the length of its sequence and nothing else.
"train" is a sum of squares and its three gradients. The contenders and the lengths take turns in
one process, so that a busy machine slows all of them; the first call of a turn is not timed. One
whose call took more than `LIMIT` seconds is not tried on longer sequences. The C library is told to
keep the memory that is freed: giving it back and asking again costs PyTorch up to half of its time,
as chance will have it, and all contenders alike.

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
BENCHMARKS = DOCS / "benchmarks"
NAMES = {"jax": "JAX", "tensorflow": "TensorFlow", "torch": "PyTorch"}
FILE = "linear_attention-{}.json"
TOKENS, HEADS, DIM, LIMIT = 16_384, 4, 64, 1.5
TURNS, CALLS = 6, 4  # calls of a turn that are timed
LENGTHS = tuple(2**power for power in range(8, 15))
# glibc's, in bytes: more than a call takes.
KEEP = {"MALLOC_TRIM_THRESHOLD_": str(2**33), "MALLOC_MMAP_THRESHOLD_": str(2**32)}
FROM = 1024  # the goals are for sequences of this length and longer
LINEAR, DOT, NOTHING = "chunked linear", "dot product", "nothing"
KINDS = ("forward", "train")
LABELS = {
    "forward": "Microseconds a token, forward",
    "train": "Microseconds a token, train step",
    "memory": "Peak memory of a train step, MiB",
}
NOTE = (
    "16,384 tokens a call, 4 heads of width 64, causal, float32, 2 cores. Dot-product attention is "
    f"measured up to the length at which a call takes more than {LIMIT:g} seconds."
)
BAND = f"Line: median of {TURNS * CALLS} calls; band: from the fastest to the slowest."
PAGE = """# Linear attention beside dot-product attention

`benchmarks/linear_attention.py` times the chunked form of
[`linear_attention`](../api/ops.md) and `keras.ops.dot_product_attention`, both causal, on 16,384
tokens a call: 64 sequences of 256 tokens, up to one of 16,384. A token of linear attention should
cost the same in each.

Freed memory is kept by the process (`MALLOC_TRIM_THRESHOLD_` and `MALLOC_MMAP_THRESHOLD_` of
glibc). Set them for your own training on a CPU with PyTorch, where memory that is given back and
asked for again can cost as much time as the attention.

![Microseconds a token of the forward pass over the tokens of a sequence:
flat for linear attention, rising for dot products](../images/linear-attention-forward.png)

![Microseconds a token of a train step over the tokens of a sequence:
flat for linear attention, rising for dot products](../images/linear-attention-train.png)

![Peak memory of a train step over the tokens of a sequence](../images/linear-attention-memory.png)

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
        calls = {}
        for name in rows:
            for length in lengths:
                calls[name, length] = once = call(name, kind, length)
                once()  # compiles
                if timed(once) > LIMIT:
                    break
        for _ in range(TURNS):
            for (name, length), once in calls.items():
                once()  # in the caches and the memory that the other left
                costs = [timed(once) * 1e6 / TOKENS for _ in range(CALLS)]
                rows[name].setdefault(length, []).extend(costs)
        for name, length in calls:
            cost = statistics.median(rows[name][length])
            print(f"{kind}, {name}, {length} tokens: {cost:.2f} us a token", flush=True)
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
            NAMES[record["backend"]],
            "train step" if kind == "train" else kind,
            f"{max(long) / min(long):.2f}",
            f"{ahead or 'nowhere'}",
            f"{dot[FROM] / linear[FROM]:.1f}",
            f"{dot[max(dot)] / linear[max(dot)]:.1f} at {max(dot)}",
        ]
        yield f"| {' | '.join(cells)} |"


def figure(records, kind, label):
    """A panel a backend: the median cost over the length of a sequence, the range as a band."""
    from wdattn.plots import style

    lengths = LENGTHS[::2] if kind == "memory" else LENGTHS
    colours = style.CYCLE[:2]
    drawn, axes = style.canvas(style.PANELS_WIDTH, 3.9, columns=len(records), sharey=True)
    for axis, record in zip(axes[0], records, strict=True):
        for colour, marker, (name, rows) in zip(colours, "os", record[kind].items(), strict=True):
            shown = [n for n in lengths if str(n) in rows]
            costs = [np.atleast_1d(rows[str(n)]) for n in shown]
            axis.plot(shown, [np.median(c) for c in costs], f"-{marker}", color=colour, label=name)
            low, high = ([end(c) for c in costs] for end in (np.min, np.max))
            axis.fill_between(shown, low, high, color=colour, alpha=0.2, linewidth=0)
        axis.set(
            xscale="log",
            yscale="log",
            xlabel="Tokens in a sequence",
            title=NAMES[record["backend"]],
        )
        ticks = LENGTHS[::2]
        axis.set_xticks(ticks, [f"{n // 1024}k" if n >= 1024 else f"{n}" for n in ticks])
        axis.set_xticks([], minor=True)
    style.log_ticks(axes[0, 0])
    axes[0, 0].set_ylabel(label)
    axes[0, -1].legend(loc="upper left")
    style.footer(drawn, [NOTE, *([] if kind == "memory" else [BAND])])
    return drawn


def draw():
    from wdattn.plots import png, style

    records = [json.loads((BENCHMARKS / FILE.format(name)).read_text()) for name in NAMES]
    for kind, label in LABELS.items():
        drawn = style.styled(figure)(records, kind, label)
        (DOCS / "images" / f"linear-attention-{kind}.png").write_bytes(png(drawn))
    rows = (line for record in records for line in goals(record))
    (BENCHMARKS / "linear_attention.md").write_text("\n".join([PAGE, *rows, ""]))


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
    elif not KEEP.keys() <= os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **KEEP})
    else:
        record = measure(arguments.lengths or LENGTHS)
        text = json.dumps(record, indent=1)
        record = json.loads(text)
        print(*goals(record), sep="\n")
        if not arguments.lengths:
            (BENCHMARKS / FILE.format(record["backend"])).write_text(text + "\n")


if __name__ == "__main__":
    main()
