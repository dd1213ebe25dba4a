"""Opt-in: `pytest tests/benchmarks -s`. Prints figures; the machine decides them, so nothing timed is asserted."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recroute.data import InteractionMatrix, llm_means, read_dataset
from recroute.pools.best_scores import BestScores
from recroute.pools.make import eligible_llms, window

ROUTERS = ("knn", "svd", "als", "ridge", "kmeans", "ease", "hierarchy", "auto", "item_knn", "task_best")


@pytest.mark.realdata
def test_scale_on_6349_llms(real: Path) -> None:
    """Wall-clock seconds and peak memory of the whole command, five seeds and pools up to 1,000."""
    options = [part for router in ROUTERS for part in ("--router", router)]
    options += ["--pool-sizes", "3,5,10,100,1000", "--seeds", "5", "--quiet"]
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "from recroute.cli import main; main()", "scale", str(real / "openllm1"), *options],
        check=True,
    )
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"\nscale, 6,349 LLMs, 75 pools, 16 rows each: {seconds:.1f} s, {peak:.2f} GB")


def plain_oracles(block: np.ndarray, size: int) -> list[float]:
    return [block[:, i : i + size].max(axis=1).mean(dtype=np.float64).item() for i in range(block.shape[1] - size + 1)]


def check_window(scores: np.ndarray, size: int) -> None:
    """The same window, and how many times as fast as trying one after another; best of several runs each."""

    def best_of(call: Callable[[], Any], runs: int) -> tuple[float, Any]:
        spent = []
        for _ in range(runs):
            start = time.perf_counter()
            found = call()
            spent.append(time.perf_counter() - start)
        return min(spent), found

    fifth = max(size, int(0.2 * scores.shape[1]))
    packing, best = best_of(lambda: BestScores(InteractionMatrix.from_dense(scores)), 10)
    fast, found = best_of(lambda: window(best, size, strong=True), 20)
    plain, oracle = best_of(lambda: plain_oracles(scores[:, -fifth:], size), 3)
    np.testing.assert_array_equal(found, scores.shape[1] - fifth + int(np.argmax(oracle)) + np.arange(size))
    order = "columns" if scores.flags.f_contiguous else "rows"
    print(
        f"\n{scores.shape[1]} LLMs, {len(scores)} instances, by {order}, window of {size} among {fifth}: "
        f"{fast * 1e6:.0f} us, plain loop {plain * 1e3:.0f} ms, {plain / fast:.0f} times as long "
        f"(packing, once for all sizes and groups, {packing * 1e3:.1f} ms)"
    )


@pytest.mark.realdata
@pytest.mark.parametrize("size", [10, 100, 1000])
def test_windows_against_the_plain_loop(real: Path, size: int) -> None:
    """On 6,349 LLMs as they are, and on RouterEval's 8,567 by repeating some of them."""
    data = read_dataset(real / "openllm1")
    means = llm_means(data)
    order = np.sort(np.resize(np.arange(data.n_llms), 8567))
    order = order[np.argsort(means[order], kind="stable")]
    for kept in (order, eligible_llms(means)):
        scores = np.nan_to_num(data.interactions.dense()[:, kept])
        check_window(np.ascontiguousarray(scores), size)
        check_window(np.asfortranarray(scores), size)  # as the matrix comes; the plain loop is faster on it
