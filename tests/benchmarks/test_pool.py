"""Opt-in: `pytest tests/benchmarks/test_pool.py -s`. Choosing among as many LLMs as RouterEval has.

Prints figures; the machine decides them, so nothing timed is asserted.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from recroute.pools import PoolValue, exchange, greedy, ranks

N_INSTANCES, N_LLMS, SIZE = 18_000, 8_567, 10
T = TypeVar("T")


def timed(what: str, call: Callable[[], T]) -> T:
    start = time.process_time()
    found = call()
    print(f"{what}: {time.process_time() - start:.2f} s of computing")
    return found


def test_ten_of_8567_llms() -> None:
    """0/1 scores of hard instances, so that most of them stay open; then predictions for half of the instances."""
    rng = np.random.default_rng(0)
    skill, ease = 0.35 * rng.random(N_LLMS, dtype=np.float32), rng.normal(0, 0.5, (N_INSTANCES, 1)).astype(np.float32)
    scores = np.empty((N_INSTANCES, N_LLMS), dtype=np.uint8)
    for i in range(0, N_INSTANCES, 500):
        scores[i : i + 500] = rng.random((500, N_LLMS), dtype=np.float32) < skill + ease[i : i + 500]
    order = np.argsort(-skill)
    print(f"\n{N_INSTANCES:,} x {N_LLMS:,}, {scores.nbytes / 1e6:.0f} MB")
    oracle = timed("oracle, rows", lambda: PoolValue(scores, scores))
    pool = timed(f"oracle, greedy {SIZE}", lambda: greedy(oracle, SIZE, order))
    exchanged = timed("oracle, exchange", lambda: exchange(oracle, pool, order))
    assert oracle.of(exchanged) >= oracle.of(pool)
    predicted = rng.random((N_INSTANCES // 2, N_LLMS), dtype=np.float32)
    keys = timed("routed, ranks", lambda: ranks(predicted, skill.astype(np.float64)))
    routed = PoolValue(keys, predicted)
    pool = timed(f"routed, greedy {SIZE}", lambda: greedy(routed, SIZE, order))
    timed("routed, exchange", lambda: exchange(routed, pool, order))
