"""Opt-in: `pytest tests/benchmarks -s`. Prints figures; the machine decides them, so nothing timed is asserted."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from recroute.retrieval import LLMIndex

K = 10


def vectors(m: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Biases, factors and train means of LLMs, and instance factors that move the scores as much as the biases do."""
    rng = np.random.default_rng(0)
    return (
        rng.uniform(0.3, 0.7, m),
        0.1 * rng.normal(size=(m, d)) / np.sqrt(d),
        rng.random(m),
        rng.normal(size=(256, d)),
    )


def microseconds(call: Callable[[], object], repeats: int) -> float:
    """Median of single calls."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e6


@pytest.mark.parametrize("m", [300, 1000, 3000, 10_000, 100_000])
@pytest.mark.parametrize("d", [4, 16])
def test_flat_against_numpy(m: int, d: int) -> None:
    bias, factors, mean, queries = vectors(m, d)
    flat, exact = (LLMIndex(bias, factors, mean, kind) for kind in ("flat", "exact"))
    np.testing.assert_array_equal(flat.search(queries, K)[0], exact.search(queries, K)[0])
    repeats = 300 if m <= 10_000 else 30
    pool = np.arange(0, m, 2)

    def both(instances: np.ndarray, within: np.ndarray | None, n: int) -> str:
        spent = [
            microseconds(partial(index.search, instances, K, within), n) / len(instances) for index in (flat, exact)
        ]
        return f"{spent[0]:.0f} / {spent[1]:.0f}"

    def partition() -> object:  # what it would cost without a rule for equal scores
        return np.argpartition((bias + queries[:1] @ factors.T).astype(np.float32), m - K, axis=1)

    one, half, many = both(queries[:1], None, repeats), both(queries[:1], pool, repeats), both(queries, None, 5)
    print(
        f"\n{m} LLMs, {d} factors, microseconds a prompt, flat / NumPy: {one}, half as pool {half}, "
        f"256 at once {many}; product and argpartition {microseconds(partition, repeats):.0f}"
    )


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
@pytest.mark.parametrize(("m", "d"), [(10_000, 4), (10_000, 16), (100_000, 4), (100_000, 16)])
def test_approximate_against_exact(kind: str, m: int, d: int) -> None:
    bias, factors, mean, queries = vectors(m, d)
    best, score = LLMIndex(bias, factors, mean, "exact").search(queries, K)
    start = time.perf_counter()
    index = LLMIndex(bias, factors, mean, kind)
    built = time.perf_counter() - start
    found, predicted = index.search(queries, K)
    recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(found, best, strict=True)])
    spent = microseconds(lambda: index.search(queries[:1], K), 100)
    print(
        f"\n{kind}, {m} LLMs, {d} factors: built in {built:.1f} s, {spent:.0f} microseconds a prompt, "
        f"recall@{K} {recall:.3f}, first {np.mean(predicted[:, 0] / score[:, 0]):.5f} of the best score"
    )
