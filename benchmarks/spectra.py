"""Singular values of a layer's heads through d_k x d_k cores, beside a dense SVD of each product.

`python benchmarks/spectra.py`: width 768, 12 heads of 64, as in GPT-2 and ViT-Base, both products.
The two take turns in one process; read the ratio, not the milliseconds. Memory is the most that
NumPy held at once beyond the weights, by `tracemalloc`. The largest difference of the singular
values is over the largest one. Where other work competes for the cores, `OPENBLAS_NUM_THREADS=1`
keeps the small factorisations from waiting for each other's threads.

On one core of a busy machine: 90 ms against 7.6 s a layer, a ratio of 84; 1.5 MB against 4.6 MB.
"""

import argparse
import statistics
import time
import tracemalloc

import numpy as np

from wdattn.spectra import product_spectra


def layer(width, heads):
    """The factors of key_query and value_output, `(heads, width, rank)` each."""
    rng, rank = np.random.default_rng(0), width // heads
    return [rng.normal(size=(2, heads, width, rank)) / np.sqrt(width) for _ in range(2)]


def core(products):
    return [product_spectra(*factors) for factors in products]


def dense(products):
    """What one would write down: one product at a time, so that memory is that of one."""
    return [np.stack([alone(a, b) for a, b in zip(*factors, strict=True)]) for factors in products]


def alone(a, b):
    return np.linalg.svd(a @ b.T, compute_uv=False)[: a.shape[1]]


def seconds(method, products):
    start = time.perf_counter()
    method(products)
    return time.perf_counter() - start


def megabytes(method, products):
    tracemalloc.start()
    method(products)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    products = layer(options.width, options.heads)
    error = max(
        np.abs(ours - theirs).max() / theirs.max()
        for ours, theirs in zip(core(products), dense(products), strict=True)
    )  # also warms up
    rounds = [(seconds(core, products), seconds(dense, products)) for _ in range(options.rounds)]
    print(
        f"width {options.width}, {options.heads} heads, both products; median of {options.rounds} "
        f"rounds; largest difference {error:.0e}"
    )
    for name, method, times in zip(
        ("cores", "dense"), (core, dense), zip(*rounds, strict=True), strict=True
    ):
        took = statistics.median(times)
        print(f"{name:>6}: {1e3 * took:8.1f} ms a layer, {megabytes(method, products):6.1f} MB")
    ratio = statistics.median(theirs / ours for ours, theirs in rounds)
    print(f" ratio: {ratio:8.1f}")


if __name__ == "__main__":
    main()
