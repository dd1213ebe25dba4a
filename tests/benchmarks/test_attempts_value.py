"""Opt-in: `pytest tests/benchmarks/test_attempts_value.py -s`. Second attempts: how long they take, and calibration.

Prints figures; what a second attempt is worth on real data is told by `recroute cascade`.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recroute.data import Prompts, llm_means, read_dataset
from recroute.experiment.prepare import prepare_split
from recroute.retrieval import tie_order, top_k
from recroute.routers import make_router
from recroute.routers.memory.attempts import belief_of
from recroute.routers.memory.joint import JointScores

M, C = 10_000, 4_000
DATA = ("openllm1", "mmlupro", "routerbench", "zeroeval")


def median(call: Callable[[], object], n: int = 50) -> float:
    """Microseconds of a single call."""
    call()
    wall = np.empty(n)
    for i in range(n):
        start = time.perf_counter()
        call()
        wall[i] = time.perf_counter() - start
    return float(np.median(wall) * 1e6)


def test_one_prompt_among_10000_llms() -> None:
    rng = np.random.default_rng(0)

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (scale * rng.normal(size=shape)).astype(np.float32)

    mean = rng.uniform(0.3, 0.7, M).astype(np.float32)
    joint = JointScores(
        *(mean, normal(M, 64, scale=0.02), normal(C, 64), mean, normal(M, 16, scale=0.02), normal(C, 16)),
        np.ones(M, dtype=np.float32),
    )
    predicted = (mean + normal(1, M, scale=0.1)).astype(np.float32)
    order, everyone = tie_order(mean), np.arange(M)
    tried = [np.array([j]) for j in (17, 170, 1700)]
    failed = np.zeros(1, dtype=np.float32)

    def rank() -> object:
        belief = joint.belief(predicted)
        for llm in tried:
            belief = belief.observed(llm, failed)
        return top_k(belief.expected(), 10, order)

    print(f"\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {M:,} LLMs, {C:,} training prompts, one prompt")
    print(
        f"rank with 3 tried: {median(rank):8.0f} us, of which the prior {median(lambda: joint.belief(predicted)):.0f}"
    )
    for k in (3, 10):
        print(f"choose_set of {k:2}:  {median(lambda k=k: joint.belief(predicted).choose_set(k, everyone)):8.0f} us")  # type: ignore[misc]


@pytest.mark.realdata
@pytest.mark.parametrize("name", DATA)
def test_the_second_attempt_is_calibrated(name: str, real: Path) -> None:
    """Brier score and calibration error of the expected score of the LLM tried second, text alone beside it."""
    told, text, reached = [], [], []
    for seed in range(5):
        data = read_dataset(real / name)
        if (whole := np.flatnonzero(data.interactions.llm_counts == data.n_instances)).size >= 8:
            data = data.take_llms(whole[:: max(1, len(whole) // 300)])
        parts = prepare_split(data, split=None, seed=seed, encoder="auto")
        router, prompts = make_router("hierarchy", seed=seed).fit(parts.train), Prompts.of(parts.test)
        predicted, scores = router.score(prompts), parts.test.interactions.dense()
        first = router.choose(predicted, router.llm_index())[:, 0].astype(np.int64)
        rows = np.arange(len(first))
        belief = belief_of(router, prompts).observed(first, scores[rows, first])
        expected = belief.expected()
        expected[rows, first] = -np.inf
        second = expected.argmax(axis=1)
        kept = (scores[rows, first] < 1) & ~np.isnan(scores[rows, second])
        told.append(expected[rows, second][kept].clip(0, 1))
        text.append(predicted[rows, second][kept].clip(0, 1))
        reached.append(scores[rows, second][kept])
        assert np.isfinite(llm_means(parts.train)).all()
    outcome = np.concatenate(reached)
    for label, each in (("given the first answer", np.concatenate(told)), ("by the text alone", np.concatenate(text))):
        bins = np.clip((each * 10).astype(int), 0, 9)
        gaps = [abs((each - outcome)[bins == b].sum()) for b in range(10)]
        print(
            f"\n{name}, {label}: Brier {((each - outcome) ** 2).mean():.3f}, ECE {sum(gaps) / len(each):.3f}, "
            f"n = {len(each)}, 5 seeds",
            end="",
        )
