"""Opt-in: `pytest tests/benchmarks -s`. Prints figures; the machine decides them, so nothing timed is asserted."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from recroute.data import llm_means, read_dataset
from recroute.pools.routereval import eligible_llms, window

ROUTERS = ("knn", "svd", "als", "task_best")


@pytest.mark.realdata
def test_scale_on_6349_llms(real: Path) -> None:
    """Wall-clock seconds and peak memory of the whole command, three seeds and pools up to 1,000."""
    options = [part for router in ROUTERS for part in ("--router", router)]
    options += ["--pool-sizes", "3,10,100,1000", "--seeds", "3", "--quiet"]
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "from recroute.cli import main; main()", "scale", str(real / "openllm1"), *options],
        check=True,
    )
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"\nscale, 6,349 LLMs, 36 pools, 10 rows each: {seconds:.1f} s, {peak:.2f} GB")


@pytest.mark.realdata
@pytest.mark.parametrize("size", [10, 100, 1000])
def test_running_maxima_against_the_plain_loop(real: Path, size: int) -> None:
    """The same window, and how many times as fast as trying one after another."""
    data = read_dataset(real / "openllm1")
    scores = np.nan_to_num(data.interactions.dense()[:, eligible_llms(llm_means(data))])
    window(scores, size, strong=True)  # the first call imports scipy
    start = time.perf_counter()
    found = window(scores, size, strong=True)
    fast = time.perf_counter() - start
    start = time.perf_counter()
    fifth = max(size, int(0.2 * scores.shape[1]))
    block = scores[:, -fifth:]
    oracle = [block[:, i : i + size].max(axis=1).mean(dtype=np.float64) for i in range(fifth - size + 1)]
    plain = time.perf_counter() - start
    np.testing.assert_array_equal(found, scores.shape[1] - fifth + int(np.argmax(oracle)) + np.arange(size))
    print(f"\nwindow of {size} among {fifth} LLMs: {fast * 1e3:.0f} ms, plain loop {plain / fast:.1f} times as long")
